import { messageOf } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { Appended, MessageStore, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { Consumer, type ConsumerInit } from './consumer.js';
import { Delivery } from './delivery.js';
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
}

/** What a queue is told by the layers above. */
export interface QueueEnvironment {
  readonly store: MessageStore;
  /** Calls the queue's `turn` soon, after what is ready to run now. */
  readonly schedule: (queue: Queue) => void;
  /** An auto-delete queue has lost its last consumer. */
  readonly onUnused: (queue: Queue) => void;
  /** It was deleted, and the last message that a consumer had of it is settled. */
  readonly onForgotten: (queue: Queue) => void;
  /** Runs `retry` after a while, or never if the process ends before: a read has failed. */
  readonly later: (retry: () => void) => void;
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

/** Who takes one message, if there is one, and is not a consumer (AMQP 0-9-1, `basic.get`). */
export interface Getter {
  /** Holds what it took until that is settled. It is in no queue's list. */
  readonly holder: Consumer;
  readonly onMessage: (delivery: Delivery) => void;
  readonly onEmpty: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** What is ready, who is next, what is unsettled. Competing consumers take turns; each has its prefetch. */
export class Queue implements ReadyMessagesOwner {
  readonly #environment: QueueEnvironment;
  readonly #ready: ReadyMessages = new ReadyMessages(this);
  readonly #consumers: Consumer[] = [];
  #nextConsumer = 0;
  /** They wait for the disk at most: who finds nothing is told so. */
  #getters: Getter[] | undefined;
  /** Of all that was ever put in. */
  #lastSequence = 0;
  readonly #unsettled = new UnsettledDeliveries(this.#consumers);
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

  get isDeleted(): boolean {
    return this.#deleted;
  }

  get consumerCount(): number {
    return this.#consumers.length;
  }

  /** Why the queue stands still, if so: its next message can't be read. It is tried again now and then. */
  get readFailure(): string | undefined {
    const { readFailure } = this.#ready;
    return readFailure && messageOf(readFailure.error);
  }

  get hasExclusiveConsumer(): boolean {
    return this.#consumers.some((consumer) => consumer.init.exclusive);
  }

  /** Takes a message that was just published; `message` is what lies at its position. */
  enqueue({ sequence, position, transientPosition }: Appended, message: Message): void {
    const at = this.#durable ? position : transientPosition;
    this.#lastSequence = sequence;
    if (this.#ready.isShort && this.#hasCredit()) this.#ready.pushLoaded(sequence, at, message);
    else this.#ready.push(sequence, at);
    this.schedule();
  }

  /** Whether a consumer would take a message now. */
  #hasCredit(): boolean {
    for (const consumer of this.#consumers) if (consumer.hasCredit()) return true;
    return false;
  }

  /** Takes over what was found at opening. Whether it had been delivered nobody knows, so it counts as redelivered. */
  restore(entries: StoredEntries): void {
    this.#ready.restore(entries);
    this.#lastSequence = entries.sequences.at(-1) ?? 0;
  }

  addConsumer(init: ConsumerInit): Consumer {
    const consumer = new Consumer(this, init);
    this.#consumers.push(consumer);
    this.schedule();
    return consumer;
  }

  removeConsumer(consumer: Consumer): void {
    const at = this.#consumers.indexOf(consumer);
    if (at < 0) return;
    this.#consumers.splice(at, 1);
    if (consumer.unsettledCount > 0) this.#unsettled.heldBy(consumer);
    if (this.#nextConsumer > at) this.#nextConsumer--;
    if (this.#consumers.length === 0 && this.init.autoDelete && !this.#deleted)
      this.#environment.onUnused(this);
  }

  /** Calls one of the getter's functions, once: later, and before consumers are served. */
  get(getter: Getter): void {
    (this.#getters ??= []).push(getter);
    this.schedule();
  }

  #serveGetters(): void {
    while (this.#getters !== undefined) {
      const loaded = this.#deleted ? undefined : this.#ready.take();
      if (loaded === undefined && this.#ready.isLoading) return this.#failGettersIfStanding();
      const { holder, onMessage, onEmpty } = this.#getters.shift() as Getter;
      if (this.#getters.length === 0) this.#getters = undefined;
      if (loaded === undefined) onEmpty();
      else this.#handOver(holder, loaded, onMessage);
    }
  }

  /** Who comes while the queue stands still is told why, and does not wait until it goes on. */
  #failGettersIfStanding(): void {
    const { readFailure } = this.#ready;
    if (readFailure === undefined) return;
    const getters = this.#getters ?? [];
    this.#getters = undefined;
    for (const { onFailure } of getters) onFailure(readFailure.error);
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
    if (this.#deleted && this.#unsettled.count === 0) this.#environment.onForgotten(this);
  }

  putBack(entry: ReadyEntry, failed: boolean): void {
    this.taken(entry);
    if (this.#deleted) return this.#release(entry);
    const deliveryCount = entry.deliveryCount + (failed ? 1 : 0);
    if (failed && this.init.durable) {
      this.#environment.store.requeue(this.init.id, entry.sequence, entry.position, deliveryCount);
    }
    this.#ready.putBack({ ...entry, deliveryCount, redelivered: true });
    return this.schedule();
  }

  /**
   * Removes all ready messages and returns how many; unsettled ones stay (AMQP 0-9-1, `queue.purge`). Throws
   * STORE_FAILED, with nothing removed, while the store accepts nothing.
   */
  purge(): number {
    const { store } = this.#environment;
    const count = this.readyCount;
    if (count === 0) return 0;
    const { id, durable } = this.init;
    if (durable) store.discard(id, this.#lastSequence, this.#unsettled.sequences(), this.#ready.takeAll());
    else for (const position of this.#ready.takeAll()) store.settle(id, 0, position);
    // Getters that waited for the disk find nothing now.
    this.schedule();
    return count;
  }

  #release({ sequence, position }: ReadyEntry): void {
    this.store.settle(this.id, sequence, position);
  }

  /** Removes what is ready, tells the consumers, and returns how many messages that were. */
  delete(): number {
    const count = this.purge();
    this.#deleted = true;
    this.#serveGetters();
    for (const consumer of this.#consumers.splice(0)) {
      if (consumer.unsettledCount > 0) this.#unsettled.heldBy(consumer);
      consumer.cancelled = true;
      consumer.init.onCancel();
    }
    return count;
  }

  /** The message with this sequence, ready or unsettled; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): { position: Position; deliveryCount: number } | undefined {
    const entry = this.#unsettled.find(sequence);
    if (entry === undefined) return this.#ready.find(sequence, position);
    if (position !== undefined) entry.position = position;
    return entry;
  }

  /** Something changed that may let a message go to a consumer. */
  schedule(): void {
    if (this.#isScheduled) return;
    if (this.#getters === undefined && (this.#consumers.length === 0 || this.readyCount === 0)) return;
    this.#isScheduled = true;
    this.#environment.schedule(this);
  }

  /** Hands over what is ready, and not more than its share. */
  turn(): void {
    this.#isScheduled = false;
    if (this.#getters !== undefined) this.#serveGetters();
    for (let turn = 0; turn < LIMITS.deliveriesPerTurnMax; turn++) {
      if (this.#deleted) return;
      const at = this.#consumerInTurn();
      const consumer = this.#consumers[at];
      if (consumer === undefined) return;
      const loaded = this.#ready.take();
      if (loaded === undefined) return;
      // Only now has it had its turn: without a message it is next again.
      this.#nextConsumer = at + 1;
      this.#unsettled.add(loaded.entry);
      consumer.deliver(new Delivery(this, consumer, loaded.entry, loaded.message));
    }
    this.schedule();
  }

  /** Where the next consumer in turn that has credit is, or -1. */
  #consumerInTurn(): number {
    const count = this.#consumers.length;
    for (let tried = 0; tried < count; tried++) {
      const at = (this.#nextConsumer + tried) % count;
      if ((this.#consumers[at] as Consumer).hasCredit()) return at;
    }
    return -1;
  }

  onLoaded(): void {
    this.schedule();
  }

  onReadFailure(error: unknown): void {
    this.#environment.onReadFailure(this, error);
  }

  later(retry: () => void): void {
    this.#environment.later(retry);
  }
}
