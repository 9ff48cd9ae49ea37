import { LIMITS } from '../limits.js';
import { expirationMs, hasExpiration } from '../message/expiration.js';
import type { Message } from '../message/message.js';
import type { Death, DeathReason } from '../message/x-death.js';
import type { Residence, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { type Ahead, NOTHING_AHEAD } from './acceptance.js';
import { Alarm } from './alarm.js';
import type { Consumers } from './consumers.js';
import { DeadLetters, type LettersEnvironment } from './dead-letters.js';
import { DelayedIndex } from './delayed-index.js';
import { type EntryMark, UNKNOWN_BYTES } from './entry-mark.js';
import { type PolicyDefinition, settingsUnder } from './queue-policy.js';
import type { QueueSettings } from './queue-settings.js';
import { ReadyBytes } from './ready-bytes.js';
import type { Ready } from './ready-by-priority.js';
import type { ReadyEntry } from './ready-index.js';
import type { Dropped, Loaded } from './ready-messages.js';

/** What the layers above do for queues with rules. */
export interface RulesEnvironment extends LettersEnvironment {
  /** Publishes to the dead-letter exchange what never came into the queue. */
  readonly deadLetterRejected: (message: Message, death: Death) => void;
}

/** The queue that has the rules. */
export interface RuledQueue {
  readonly id: number;
  readonly name: string;
  readonly isDurable: boolean;
  readonly ready: Ready;
  readonly consumers: Consumers;
  /** Something changed that may let a message go to a consumer. */
  schedule(): void;
  /** Nobody has used it for the time that it was given. */
  onIdle(): void;
  /** No message is on its way to the dead-letter exchange any more. */
  onLettersGone(): void;
}

/** With so many dead letters on their way, no more messages expire or are too many: they lie well where they are. */
const LETTERS_MAX = 256;

/**
 * What a queue's arguments and its policy make of its messages: they expire, are too many, are given up after so many
 * attempts, wait before the next, and go to the dead-letter exchange. A queue without any of it has no rules.
 */
export class QueueRules {
  readonly #queue: RuledQueue;
  readonly #environment: RulesEnvironment;
  readonly #own: QueueSettings;
  #settings: QueueSettings;
  readonly #bytes: ReadyBytes;
  readonly #letters: DeadLetters;
  #delayed: DelayedIndex | undefined;
  readonly #expiry: Alarm;
  readonly #due: Alarm;
  readonly #idle: Alarm;
  /** All that is ready has a consumer who waits for it: it does not expire before the turn in which it is handed over. */
  #isPromised = false;

  constructor(queue: RuledQueue, environment: RulesEnvironment, own: QueueSettings) {
    this.#queue = queue;
    this.#environment = environment;
    this.#own = this.#settings = own;
    const { clock, store, later } = environment;
    this.#bytes = new ReadyBytes(store, queue.ready, () => this.#limit(), later);
    this.#letters = new DeadLetters({
      queue,
      environment,
      settings: () => this.#settings,
      onDone: () => this.#lettersGone(),
    });
    this.#expiry = new Alarm(clock, () => this.#expire());
    this.#due = new Alarm(clock, () => this.#wake());
    this.#idle = new Alarm(clock, () => this.#idled());
    this.touch();
  }

  get settings(): QueueSettings {
    return this.#settings;
  }

  /** Messages that wait before their next attempt. */
  get delayedCount(): number {
    return this.#delayed?.length ?? 0;
  }

  /** Messages on their way to the dead-letter exchange, or stuck on it. */
  get letterCount(): number {
    return this.#letters.count;
  }

  letterSequences(): Iterable<number> {
    return this.#letters.sequences();
  }

  /** See {@link settingsUnder}. Limits and dead-lettering change at once, the time to live for messages that come. */
  apply(policy: PolicyDefinition | undefined): void {
    this.#settings = settingsUnder(policy, this.#own);
    this.touch();
    if (this.#settings.lengthBytesMax !== undefined) this.#bytes.measure();
    this.#letters.settingsChanged();
    this.#limit();
  }

  // ---------------------------------------------------------------- coming in

  /** Whether the queue is full and does not take the message; then the publisher is told (x-overflow). */
  rejects(message: Message, ahead: Ahead = NOTHING_AHEAD): boolean {
    const { overflow, lengthMax, lengthBytesMax } = this.#settings;
    if (overflow === 'drop-head') return false;
    const { ready, consumers } = this.#queue;
    const waiting = Math.max(0, ready.length + ahead.count - consumers.spareCredit);
    const letters = this.#letters.held;
    if (lengthMax !== undefined && waiting + letters.count + 1 > lengthMax) return true;
    const bytes = waiting === 0 ? 0 : this.#bytes.total + ahead.bytes;
    return lengthBytesMax !== undefined && bytes + letters.bytes + message.body.length > lengthBytesMax;
  }

  /** What {@link rejects} was true for is not taken. */
  onRejected(message: Message): void {
    if (this.#settings.overflow !== 'reject-publish-dlx') return;
    const death = this.#letters.deathOf('maxlen');
    if (death === undefined) return;
    this.#environment.schedule({ turn: () => this.#environment.deadLetterRejected(message, death) });
  }

  /** A message was added at the end. */
  entered(mark: EntryMark | undefined): void {
    this.#bytes.entered(mark);
    const { ready, consumers } = this.#queue;
    if (!consumers.hasCredit()) return this.settle();
    // Whoever has credit gets it first; what is over the limit then goes.
    if (consumers.spareCredit >= ready.length) this.#promise();
    return undefined;
  }

  /** What was there before its consumer came may be dead: all but the one that has just been added. */
  #promise(): void {
    if (this.#isPromised || this.dropExpired(1)) this.#isPromised = true;
  }

  /** After what could be handed over was: what is too much or too old goes. */
  settle(): void {
    this.#isPromised = false;
    this.#limit();
    if (this.dropExpired()) this.#watch();
  }

  #limit(): void {
    const { overflow, lengthMax = Infinity, lengthBytesMax = Infinity } = this.#settings;
    if (overflow !== 'drop-head') return;
    const { ready } = this.#queue;
    while (ready.length > lengthMax || this.#bytes.total > lengthBytesMax) {
      // The last of the letters sees to it that it goes on.
      if (this.#letters.leavingCount >= LETTERS_MAX) return;
      const dropped = ready.drop();
      if (dropped === undefined) return;
      this.#giveUp(dropped, 'maxlen');
    }
  }

  // ---------------------------------------------------------------- going out

  /** The next message that is not dead; undefined when there is none, or it has yet to come from the disk. */
  take(): Loaded | undefined {
    if (!this.#isPromised && !this.dropExpired()) return undefined;
    const loaded = this.#queue.ready.take();
    if (loaded === undefined) return undefined;
    this.#bytes.left(loaded.entry.mark);
    if (loaded.entry.mark?.bodyBytes === UNKNOWN_BYTES && this.#settings.lengthBytesMax !== undefined)
      loaded.entry.mark = { ...loaded.entry.mark, bodyBytes: loaded.message.body.length };
    return loaded;
  }

  /** A delivery was given up. */
  discard(entry: ReadyEntry, message: Message, reason: DeathReason = 'rejected'): void {
    this.#give(entry, message, reason, true);
  }

  #giveUp({ entry, message }: Dropped, reason: DeathReason): void {
    this.#bytes.left(entry.mark);
    this.#give(entry, message, reason, false);
  }

  #give(entry: ReadyEntry, message: Message | undefined, reason: DeathReason, atOnce: boolean): void {
    if (this.#settings.deadLetterExchange !== undefined) this.#letters.add(entry, reason, message, atOnce);
    else this.#environment.store.settle(this.#queue.id, entry.sequence, entry.position);
  }

  // ---------------------------------------------------------------- expiry

  /** Gives up what is dead at the head of the queue, but for the last `keep`. False: there is more of it than can go now. */
  dropExpired(keep = 0): boolean {
    const { ready } = this.#queue;
    let now = 0;
    for (let count = 0; ; count++) {
      if (ready.length <= keep) return true;
      const at = ready.nextExpiresAt;
      if (at === 0) return true;
      if (now === 0) now = this.#environment.clock.now();
      if (at > now) return true;
      // The last of the letters sees to it that it goes on.
      if (this.#letters.leavingCount >= LETTERS_MAX) return false;
      if (count === LIMITS.deliveriesPerTurnMax) {
        this.#expiry.set(now);
        return false;
      }
      const dropped = ready.drop();
      if (dropped === undefined) return true;
      this.#giveUp(dropped, 'expired');
    }
  }

  /** The next message is dead and has yet to go: what lives comes after it. */
  get isHeadDead(): boolean {
    const at = this.#queue.ready.nextExpiresAt;
    return at !== 0 && at <= this.#environment.clock.now();
  }

  #expire(): void {
    if (this.#isPromised && this.#queue.consumers.hasCredit()) return this.#queue.schedule();
    if (this.dropExpired()) this.#watch();
    return this.#queue.schedule();
  }

  #lettersGone(): void {
    this.#limit();
    this.#watch();
    this.#queue.onLettersGone();
  }

  #watch(): void {
    const at = this.#queue.ready.nextExpiresAt;
    if (at !== 0) this.#expiry.set(at);
  }

  // ---------------------------------------------------------------- coming back

  /** A delivery came back: it goes to its place, waits, or is given up. */
  putBack(entry: ReadyEntry, failed: boolean, message: Message): void {
    const { type, deliveryLimit = Infinity } = this.#settings;
    const isCounted = failed || type === 'quorum';
    const deliveryCount = entry.deliveryCount + (isCounted ? 1 : 0);
    const returned = { ...entry, deliveryCount, redelivered: true };
    if (deliveryCount > deliveryLimit) return this.discard(returned, message, 'delivery_limit');
    const readyAt = this.#retryAt(deliveryCount, failed);
    const { id, isDurable, ready } = this.#queue;
    if (isDurable && (isCounted || readyAt > 0)) {
      this.#environment.store.requeue(id, entry.sequence, entry.position, deliveryCount, readyAt);
    }
    if (readyAt > 0) return this.#delay(returned, readyAt);
    ready.putBack(returned);
    return this.#cameBack(returned);
  }

  #cameBack({ mark }: ReadyEntry): void {
    this.#bytes.entered(mark);
    this.settle();
    this.#queue.schedule();
  }

  /** When a message that comes back is ready again (RabbitMQ 4.3, `x-delayed-retry-type`); 0: at once. */
  #retryAt(deliveryCount: number, failed: boolean): number {
    const {
      delayedRetryType: type,
      delayedRetryMinMs: minMs,
      delayedRetryMaxMs: maxMs = Infinity,
    } = this.#settings;
    if (minMs === undefined || minMs === 0 || type === 'disabled') return 0;
    if (type !== 'all' && (type === 'failed') !== failed) return 0;
    return this.#environment.clock.now() + Math.min(minMs * Math.max(1, deliveryCount), maxMs);
  }

  #delay(entry: ReadyEntry, readyAt: number): void {
    (this.#delayed ??= new DelayedIndex()).add(entry, readyAt);
    this.#due.set(readyAt);
  }

  /** Those whose time has come are ready, each at its original place. */
  #wake(): void {
    const delayed = this.#delayed;
    if (delayed === undefined) return;
    const now = this.#environment.clock.now();
    while (delayed.nextDueAt <= now) {
      const entry = delayed.shift() as ReadyEntry;
      this.#queue.ready.putBack(entry);
      this.#cameBack(entry);
    }
    if (delayed.length > 0) this.#due.set(delayed.nextDueAt);
  }

  // ---------------------------------------------------------------- the rest

  /** The queue is used: it was declared, asked for a message, or has lost its last consumer (x-expires). */
  touch(): void {
    this.#idle.clear();
    const { expiresMs } = this.#settings;
    if (expiresMs === undefined || this.#queue.consumers.count > 0) return;
    this.#idle.set(this.#environment.clock.now() + expiresMs);
  }

  /** Where the queue can't go now, it is asked to again after as long. */
  #idled(): void {
    this.touch();
    this.#queue.onIdle();
  }

  /** Takes over what was found at opening, in order. */
  restore(entries: StoredEntries): void {
    const now = this.#environment.clock.now();
    for (let i = 0; i < entries.length; i++) {
      const entry = entryAt(entries, i);
      const readyAt = entry.mark?.readyAt ?? 0;
      if (readyAt > now) this.#delay(entry, readyAt);
      else this.#queue.ready.restoreOne(entry);
    }
    if (this.#settings.lengthBytesMax !== undefined) this.#bytes.measure();
    this.settle();
  }

  /** Removes what waits; what is on its way to the dead-letter exchange goes on, and what is stuck stays, as in RabbitMQ. */
  takeAll(): Iterable<Position> {
    this.#bytes.clear();
    this.#due.clear();
    return this.#delayed?.takeAll() ?? [];
  }

  /** The queue was deleted: see {@link DeadLetters.abandon}. */
  abandonLetters(): Iterable<Position> | undefined {
    return this.#letters.abandon();
  }

  find(sequence: number, position?: Position): Residence | undefined {
    return this.#letters.find(sequence, position) ?? this.#delayed?.find(sequence, position);
  }

  /** Nothing happens by itself any more. */
  stop(): void {
    this.#expiry.clear();
    this.#due.clear();
    this.#idle.clear();
    this.#letters.stop();
  }
}

/** What a queue has to know of a message that comes; undefined: nothing. Throws what {@link expirationMs} throws. */
export function markOf(message: Message, settings: QueueSettings, now: number): EntryMark | undefined {
  const { messageTtlMs, priorityMax = 0, lengthBytesMax } = settings;
  const ownMs = hasExpiration(message) ? expirationMs(message.properties.expiration ?? '') : Infinity;
  const ttlMs = Math.min(messageTtlMs ?? Infinity, ownMs);
  const expiresAt = ttlMs === Infinity ? 0 : now + ttlMs;
  const priority = priorityMax === 0 ? 0 : Math.min(priorityMax, message.properties.priority ?? 0);
  const bodyBytes = lengthBytesMax === undefined ? UNKNOWN_BYTES : message.body.length;
  if (expiresAt === 0 && priority === 0 && bodyBytes === UNKNOWN_BYTES) return undefined;
  return { expiresAt, readyAt: 0, priority, bodyBytes };
}

function entryAt(
  { sequences, positions, deliveryCounts, expiresAt, readyAt, priorities }: StoredEntries,
  i: number,
): ReadyEntry {
  const mark = {
    expiresAt: expiresAt?.[i] ?? 0,
    readyAt: readyAt?.[i] ?? 0,
    priority: priorities?.[i] ?? 0,
    bodyBytes: UNKNOWN_BYTES,
  };
  return {
    sequence: sequences[i] as number,
    position: positions[i] as number,
    deliveryCount: deliveryCounts[i] as number,
    redelivered: true,
    mark,
  };
}
