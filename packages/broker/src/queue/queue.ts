import { messageOf } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { Appended, MessageStore, Residence, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import type { Ahead } from './acceptance.js';
import { chained } from './chained.js';
import { Consumer, type ConsumerInit } from './consumer.js';
import { Consumers } from './consumers.js';
import { Delivery } from './delivery.js';
import type { EntryMark } from './entry-mark.js';
import { type Getter, Getters, type Offer } from './getters.js';
import type { QueueArguments } from './queue-arguments.js';
import type { PolicyDefinition } from './queue-policy.js';
import { markOf, QueueRules, type RulesEnvironment } from './queue-rules.js';
import { PLAIN_QUEUE, type QueueSettings } from './queue-settings.js';
import { type Ready, ReadyByPriority } from './ready-by-priority.js';
import type { ReadyEntry } from './ready-index.js';
import { type Loaded, ReadyMessages, type ReadyMessagesOwner } from './ready-messages.js';
import { UnsettledDeliveries } from './unsettled-deliveries.js';

export interface QueueInit {
  readonly id: number;
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that alone may use the queue, if it is exclusive. */
  readonly owner: object | undefined;
  /** @default none */
  readonly arguments?: QueueArguments | undefined;
}

/** What a queue is told by the layers above. */
export interface QueueEnvironment extends RulesEnvironment {
  /** An auto-delete queue has lost its last consumer. */
  readonly onUnused: (queue: Queue) => void;
  /** It was deleted, and the last message that a consumer had of it is settled. */
  readonly onForgotten: (queue: Queue) => void;
  /** Nobody has used it for as long as it may be unused (x-expires). */
  readonly onIdle: (queue: Queue) => void;
  /** A message could not be read from the disk. */
  readonly onReadFailure: (queue: Queue, error: unknown) => void;
}

/** The queues that a message goes to, as a store wants to know them. */
export interface RouteByDurability {
  /** Ids of the durable ones. */
  readonly journaled: readonly number[];
  /** How many the others are. */
  readonly others: number;
}

/** What is ready, who is next, what is unsettled. Competing consumers take turns; each has its prefetch. */
export class Queue implements ReadyMessagesOwner {
  readonly #environment: QueueEnvironment;
  readonly #ready: Ready;
  readonly #consumers: Consumers;
  /** What its arguments, its policy or its messages ask for beyond the plain; mostly nothing. */
  #rules: QueueRules | undefined;
  /** They wait for the disk at most: who finds nothing is told so. */
  #getters: Getters | undefined;
  /** Of all that was ever put in. */
  #lastSequence = 0;
  /** The last sequence of what was found at opening. */
  foundThrough = 0;
  readonly #unsettled: UnsettledDeliveries;
  #deleted = false;
  /** A turn to deliver is to come. */
  #isScheduled = false;
  readonly store: MessageStore;
  readonly id: number;
  readonly #durable: boolean;
  /** How a message is stored that goes to this queue alone. */
  readonly alone: RouteByDurability;

  constructor(
    readonly init: QueueInit,
    environment: QueueEnvironment,
  ) {
    this.#environment = environment;
    this.store = environment.store;
    this.id = init.id;
    this.#durable = init.durable;
    this.alone = init.durable ? { journaled: [init.id], others: 0 } : { journaled: [], others: 1 };
    const { priorityMax = 0, singleActiveConsumer } = this.#ownSettings;
    this.#ready = priorityMax > 0 ? new ReadyByPriority(this, priorityMax) : new ReadyMessages(this);
    this.#consumers = new Consumers(singleActiveConsumer);
    this.#unsettled = new UnsettledDeliveries(this.#consumers);
    if (this.#ownSettings !== PLAIN_QUEUE) this.#theRules();
  }

  get #ownSettings(): QueueSettings {
    return this.init.arguments?.settings ?? PLAIN_QUEUE;
  }

  #theRules(): QueueRules {
    const queue = {
      id: this.id,
      name: this.name,
      isDurable: this.#durable,
      ready: this.#ready,
      consumers: this.#consumers,
      schedule: () => this.schedule(),
      onIdle: () => this.#environment.onIdle(this),
      onLettersGone: () => this.#forgetIfDone(),
    };
    return (this.#rules ??= new QueueRules(queue, this.#environment, this.#ownSettings));
  }

  get name(): string {
    return this.init.name;
  }

  /** Messages that wait for a consumer. */
  get readyCount(): number {
    return this.#ready.length;
  }

  /** Messages that were delivered and are not settled yet. */
  get unsettledCount(): number {
    return this.#unsettled.count;
  }

  /** Messages that are not ready and not gone: unsettled, or on their way to the dead-letter exchange, or stuck on it. */
  get heldCount(): number {
    return this.#unsettled.count + (this.#rules?.letterCount ?? 0);
  }

  /** Nothing waits in it: no message is ready, or will be. */
  get isEmpty(): boolean {
    return this.readyCount === 0 && (this.#rules?.delayedCount ?? 0) === 0;
  }

  /** As its arguments and its policy say together. */
  get settings(): QueueSettings {
    return this.#rules?.settings ?? PLAIN_QUEUE;
  }

  /** Messages have to be asked about before they come in: see {@link markOf} and {@link rejects}. */
  get isRuled(): boolean {
    return this.#rules !== undefined;
  }

  get isDeleted(): boolean {
    return this.#deleted;
  }

  get consumerCount(): number {
    return this.#consumers.count;
  }

  /** Why the queue stands still, if so: its next message can't be read. It is tried again now and then. */
  get readFailure(): string | undefined {
    const { readFailure } = this.#ready;
    return readFailure && messageOf(readFailure.error);
  }

  get hasExclusiveConsumer(): boolean {
    return [...this.#consumers].some(({ init }) => init.exclusive);
  }

  /** What the queue has to know of a message that comes. Throws PRECONDITION_FAILED for a bad expiration. */
  markOf(message: Message, now: number): EntryMark | undefined {
    return markOf(message, this.settings, now);
  }

  /** Whether the queue is full and does not take the message; who asks tells the publisher, and {@link onRejected}. */
  rejects(message: Message, ahead?: Ahead): boolean {
    return this.#rules?.rejects(message, ahead) ?? false;
  }

  onRejected(message: Message): void {
    this.#rules?.onRejected(message);
  }

  /** Takes a message that was just published; `message` is what lies at its position, `mark` what {@link markOf} said. */
  enqueue({ sequence, position, transientPosition }: Appended, message: Message, mark?: EntryMark): void {
    const at = this.#durable ? position : transientPosition;
    this.#lastSequence = sequence;
    if (this.#ready.isShort && this.#consumers.hasCredit())
      this.#ready.pushLoaded(sequence, at, message, mark);
    else this.#ready.push(sequence, at, mark);
    if (mark !== undefined) this.#theRules();
    if (this.#rules !== undefined) this.#rules.entered(mark);
    this.schedule();
  }

  /** Takes over what was found at opening. Whether it had been delivered nobody knows, so it counts as redelivered. */
  restore(entries: StoredEntries): void {
    this.foundThrough = this.#lastSequence = entries.sequences.at(-1) ?? 0;
    const { expiresAt, readyAt, priorities } = entries;
    const isMarked = expiresAt !== undefined || readyAt !== undefined || priorities !== undefined;
    if (!isMarked && this.#rules === undefined && this.#ready instanceof ReadyMessages)
      this.#ready.restore(entries);
    else this.#theRules().restore(entries);
  }

  /** Takes effect at once: see {@link settingsUnder}. Undefined: no policy applies any more. */
  applyPolicy(definition: PolicyDefinition | undefined): void {
    if (definition !== undefined) this.#theRules();
    this.#rules?.apply(definition);
  }

  /** Somebody uses it, and is no consumer. */
  touch(): void {
    this.#rules?.touch();
  }

  addConsumer(init: ConsumerInit): Consumer {
    const consumer = new Consumer(this, init);
    this.#consumers.add(consumer);
    this.touch();
    this.schedule();
    return consumer;
  }

  removeConsumer(consumer: Consumer): void {
    if (!this.#consumers.remove(consumer)) return;
    if (consumer.unsettledCount > 0) this.#unsettled.heldBy(consumer);
    this.touch();
    // Another one may be the active one now.
    this.schedule();
    if (this.#consumers.count === 0 && this.init.autoDelete && !this.#deleted)
      this.#environment.onUnused(this);
  }

  /** Calls one of the getter's functions, once: later, and before consumers are served. */
  get(getter: Getter): void {
    (this.#getters ??= new Getters()).add(getter);
    this.schedule();
  }

  #take(): Loaded | undefined {
    return this.#rules === undefined ? this.#ready.take() : this.#rules.take();
  }

  #serveGetters(): void {
    this.#getters?.serve(
      () => this.#offer(),
      ({ holder, onMessage }, loaded) => this.#handOver(holder, loaded, onMessage),
    );
    if (this.#getters?.isEmpty === true) this.#getters = undefined;
  }

  #offer(): Offer {
    const loaded = this.#deleted ? undefined : this.#take();
    if (loaded !== undefined) return loaded;
    if (this.#ready.isLoading) return this.#ready.readFailure ?? 'coming';
    return this.#rules?.isHeadDead === true ? 'coming' : 'none';
  }

  #handOver(holder: Consumer, loaded: Loaded, onMessage: (delivery: Delivery) => void): void {
    this.#unsettled.add(loaded.entry);
    if (!holder.init.noAck) this.#unsettled.heldBy(holder);
    const delivery = new Delivery(this, holder, loaded.entry, loaded.message);
    holder.hold(delivery);
    // Its connection was closed while the message was on its way.
    if (holder.cancelled) delivery.requeue({ failed: false });
    else onMessage(delivery);
  }

  settle(entry: ReadyEntry): void {
    this.taken(entry);
    this.#release(entry);
  }

  /** A delivery's message was taken out of the queue by a move. */
  taken(entry: ReadyEntry): void {
    this.#unsettled.remove(entry);
    if (this.#deleted) this.#forgetIfDone();
  }

  #forgetIfDone(): void {
    if (this.#deleted && this.heldCount === 0) this.#environment.onForgotten(this);
  }

  /** A delivery was given up: it goes to the dead-letter exchange, if there is one. */
  discard(entry: ReadyEntry, message: Message): void {
    if (this.#rules === undefined || this.#deleted) return this.settle(entry);
    this.#rules.discard(entry, message);
    return this.taken(entry);
  }

  putBack(entry: ReadyEntry, failed: boolean, message: Message): void {
    this.taken(entry);
    if (this.#deleted) return this.#release(entry);
    if (this.#rules !== undefined) return this.#rules.putBack(entry, failed, message);
    const deliveryCount = entry.deliveryCount + (failed ? 1 : 0);
    if (failed && this.#durable) this.store.requeue(this.id, entry.sequence, entry.position, deliveryCount);
    this.#ready.putBack({ ...entry, deliveryCount, redelivered: true });
    return this.schedule();
  }

  /**
   * Removes all ready messages and returns how many; unsettled ones stay (AMQP 0-9-1, `queue.purge`). Throws
   * STORE_FAILED, with nothing removed, while the store accepts nothing.
   */
  purge(): number {
    if (this.isEmpty) return 0;
    const count = this.readyCount + (this.#rules?.delayedCount ?? 0);
    this.#discard(this.#takeAll());
    // Getters that waited for the disk find nothing now.
    this.schedule();
    return count;
  }

  /** All but what is unsettled or a dead letter. */
  #discard(positions: Iterable<Position>): void {
    const { store } = this;
    const kept = [...this.#unsettled.sequences(), ...(this.#rules?.letterSequences() ?? [])];
    if (this.#durable) store.discard(this.id, this.#lastSequence, kept, positions);
    else for (const position of positions) store.settle(this.id, 0, position);
  }

  /** Takes them all when the first is asked for, and not before: the store may refuse. */
  *#takeAll(): Generator<Position> {
    yield* chained([this.#ready.takeAll(), this.#rules?.takeAll() ?? []]);
  }

  #release({ sequence, position }: ReadyEntry): void {
    this.store.settle(this.id, sequence, position);
  }

  /** Removes what is ready, tells the consumers, and returns how many messages that were. */
  delete(): number {
    const count = this.purge();
    // Letters that nobody has taken go with it; those that have not been sent yet are sent once.
    const stuck = this.#rules?.abandonLetters();
    if (stuck !== undefined) this.#discard(stuck);
    this.#deleted = true;
    this.stop();
    this.#serveGetters();
    for (const consumer of this.#consumers.takeAll()) {
      if (consumer.unsettledCount > 0) this.#unsettled.heldBy(consumer);
      consumer.cancelled = true;
      consumer.init.onCancel();
    }
    return count;
  }

  /** Nothing in it happens by itself any more. Idempotent. */
  stop(): void {
    this.#rules?.stop();
  }

  /** The message with this sequence, wherever in the queue; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): Residence | undefined {
    const entry = this.#unsettled.find(sequence);
    if (entry === undefined)
      return this.#ready.find(sequence, position) ?? this.#rules?.find(sequence, position);
    if (position !== undefined) entry.position = position;
    return entry;
  }

  /** Something changed that may let a message go to a consumer. */
  schedule(): void {
    if (this.#isScheduled) return;
    if (this.#getters === undefined && (this.#consumers.count === 0 || this.readyCount === 0)) return;
    this.#isScheduled = true;
    this.#environment.schedule(this);
  }

  /** Hands over what is ready, and not more than its share. */
  turn(): void {
    this.#isScheduled = false;
    if (this.#getters !== undefined) this.#serveGetters();
    this.#handOut();
    if (this.#rules !== undefined && !this.#deleted) this.#rules.settle();
  }

  #handOut(): void {
    for (let turn = 0; turn < LIMITS.deliveriesPerTurnMax; turn++) {
      if (this.#deleted) return;
      const consumer = this.#consumers.next();
      if (consumer === undefined) return;
      const loaded = this.#take();
      if (loaded === undefined) return;
      // Only now has it had its turn: without a message it is next again.
      this.#consumers.served(consumer);
      this.#unsettled.add(loaded.entry);
      consumer.deliver(new Delivery(this, consumer, loaded.entry, loaded.message));
    }
    this.schedule();
  }

  onLoaded(): void {
    this.#rules?.settle();
    this.schedule();
  }

  onReadFailure(error: unknown): void {
    this.#environment.onReadFailure(this, error);
    this.#serveGetters();
  }

  later(retry: () => void): void {
    this.#environment.later(retry);
  }
}
