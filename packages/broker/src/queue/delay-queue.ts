import type { Clock } from '../clock.js';
import { delayOf } from '../message/delay.js';
import { expirationMs, hasExpiration } from '../message/expiration.js';
import type { Message } from '../message/message.js';
import type { Appended, MessageStore, Residence, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import type { Turn } from '../turns.js';
import { Alarm } from './alarm.js';
import { chained } from './chained.js';
import { DelayedIndex } from './delayed-index.js';
import { Departures } from './departures.js';
import { type EntryMark, NO_MARK } from './entry-mark.js';
import type { Queue, RouteByDurability } from './queue.js';
import type { ReadyEntry } from './ready-index.js';

/** What a message can be routed to. */
export type Target = Pick<
  Queue,
  'id' | 'name' | 'alone' | 'isRuled' | 'rejects' | 'onRejected' | 'markOf' | 'enqueue'
> & { readonly init: Pick<Queue['init'], 'id' | 'durable'> };

export interface DelayQueueInit {
  readonly id: number;
  readonly name: string;
  readonly durable: boolean;
  readonly store: MessageStore;
  readonly clock: Clock;
  readonly schedule: (turn: Turn) => void;
  readonly later: (retry: () => void) => void;
  /** Its time has come: takes the message out of this queue. Throws STORE_FAILED or CLOSED, with nothing done. */
  readonly release: (entry: ReadyEntry, message: Message) => void;
}

/** So many messages at most are read from the disk, or on their way, at a time. */
const DEPARTURES_MAX = 256;

/**
 * Where an `x-delayed-message` exchange holds messages until their time: stored once, in no order but that of their
 * times, and waited for by one timer. Nobody consumes from it.
 */
export class DelayQueue implements Target {
  readonly #held = new DelayedIndex();
  readonly #departures: Departures<undefined>;
  readonly #alarm: Alarm;
  #lastSequence = 0;
  readonly isRuled = true;
  /** How a message is stored that goes here alone. */
  readonly alone: RouteByDurability;

  constructor(readonly init: DelayQueueInit) {
    const { id, durable, store, clock, schedule, later, release } = init;
    this.alone = durable ? { journaled: [id], others: 0 } : { journaled: [], others: 1 };
    this.#alarm = new Alarm(clock, () => this.#depart());
    this.#departures = new Departures({
      store,
      send: release,
      schedule,
      later,
      onDone: () => this.#depart(),
    });
  }

  get id(): number {
    return this.init.id;
  }

  get name(): string {
    return this.init.name;
  }

  /** Messages that wait for their time. */
  get length(): number {
    return this.#held.length + this.#departures.count;
  }

  rejects(): boolean {
    return false;
  }

  onRejected(): void {
    // It is never full.
  }

  /** Throws PRECONDITION_FAILED for a bad expiration: held until its time, it would be refused when nobody can be told. */
  markOf(message: Message, now: number): EntryMark {
    if (hasExpiration(message)) expirationMs(message.properties.expiration ?? '');
    return { ...NO_MARK, readyAt: Math.min(now + delayOf(message), Number.MAX_SAFE_INTEGER) };
  }

  /** Takes a message that was just published; `mark` says when its time is. */
  enqueue(
    { sequence, position, transientPosition }: Appended,
    _message: Message,
    mark: EntryMark = NO_MARK,
  ): void {
    const at = this.init.durable ? position : transientPosition;
    this.#lastSequence = sequence;
    this.#hold({ sequence, position: at, deliveryCount: 0, mark }, mark.readyAt);
  }

  #hold(entry: Omit<ReadyEntry, 'redelivered'>, readyAt: number): void {
    this.#held.add(entry, readyAt);
    this.#alarm.set(readyAt);
  }

  /** Takes over what was found at opening. What should have gone on since goes soon. */
  restore({ length, sequences, positions, readyAt }: StoredEntries): void {
    this.#lastSequence = sequences.at(-1) ?? 0;
    for (let i = 0; i < length; i++) {
      const [sequence, position] = [sequences[i] as number, positions[i] as number];
      this.#hold({ sequence, position, deliveryCount: 0, mark: undefined }, readyAt?.[i] ?? 0);
    }
  }

  /** Those whose time has come, the earliest first. */
  #depart(): void {
    const { clock, store } = this.init;
    const now = clock.now();
    while (this.#held.nextDueAt <= now && this.#departures.count < DEPARTURES_MAX) {
      const entry = this.#held.shift() as ReadyEntry;
      this.#departures.add(entry, undefined, store.peek(entry.position), false);
    }
    // Where more are due, the last of these asks for the next.
    if (this.#held.nextDueAt > now && this.#held.length > 0) this.#alarm.set(this.#held.nextDueAt);
  }

  /** Its exchange was deleted: all that it holds goes with it. Throws STORE_FAILED, with nothing done. */
  delete(): void {
    const { id, durable, store } = this.init;
    if (durable && this.length > 0) store.discard(id, this.#lastSequence, [], this.#takeAll());
    else for (const position of this.#takeAll()) store.settle(id, 0, position);
    this.stop();
  }

  /** Takes them all when the first is asked for, and not before: the store may refuse. */
  *#takeAll(): Generator<Position> {
    yield* chained([this.#departures.takeAll(), this.#held.takeAll()]);
  }

  /** Nothing goes on any more. Idempotent. */
  stop(): void {
    this.#alarm.clear();
  }

  /** The message with this sequence; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): Residence | undefined {
    return this.#departures.find(sequence, position) ?? this.#held.find(sequence, position);
  }
}
