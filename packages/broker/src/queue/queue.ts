import { messageOf } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { Appended, MessageStore, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { Consumer, type ConsumerInit } from './consumer.js';
import { Delivery } from './delivery.js';
import { type ReadyEntry, ReadyIndex } from './ready-index.js';

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
  /** Runs `turn` soon, after what is ready to run now, and not twice for two calls. */
  readonly schedule: (turn: () => void) => void;
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

interface Loaded {
  readonly entry: ReadyEntry;
  readonly message: Message;
}

/** What is ready, who is next, what is unsettled. Competing consumers take turns; each has its prefetch. */
export class Queue {
  readonly #environment: QueueEnvironment;
  readonly #ready = new ReadyIndex();
  /** Read ahead, or just published: ready, and before everything in the index but what was put back. */
  #loaded: Loaded[] = [];
  /** Ready, and on their way from the disk; nothing that comes after them is delivered before, so that the order holds. */
  #loading: readonly ReadyEntry[] = [];
  readonly #consumers: Consumer[] = [];
  #nextConsumer = 0;
  /** They wait for the disk at most: who finds nothing is told so. */
  #getters: Getter[] = [];
  /** Of all that was ever put in. */
  #lastSequence = 0;
  readonly #unsettled = new Map<number, ReadyEntry>();
  #deleted = false;
  #readFailure: { readonly error: unknown } | undefined;
  /** A turn to deliver is to come. */
  #isScheduled = false;
  readonly #turn = (): void => this.#deliver();
  /** How a message is stored that goes to this queue alone. */
  readonly alone: RouteByDurability;
  /** The settings of policies that are in effect for it, if there are any. */
  policy: Readonly<Record<string, unknown>> | undefined;

  constructor(
    readonly init: QueueInit,
    environment: QueueEnvironment,
  ) {
    this.#environment = environment;
    this.alone = init.durable ? { journaled: [init.id], others: 0 } : { journaled: [], others: 1 };
  }

  applyPolicy(definition: Readonly<Record<string, unknown>> | undefined): void {
    this.policy = definition;
  }

  get name(): string {
    return this.init.name;
  }

  /** Messages that wait for a consumer. */
  get readyCount(): number {
    return this.#ready.length + this.#loaded.length + this.#loading.length;
  }

  /** Messages that were delivered and are not settled yet. */
  get unsettledCount(): number {
    return this.#unsettled.size;
  }

  get isDeleted(): boolean {
    return this.#deleted;
  }

  get consumerCount(): number {
    return this.#consumers.length;
  }

  /** Why the queue stands still, if so: its next message can't be read. It is tried again now and then. */
  get readFailure(): string | undefined {
    return this.#readFailure && messageOf(this.#readFailure.error);
  }

  get hasExclusiveConsumer(): boolean {
    return this.#consumers.some((consumer) => consumer.init.exclusive);
  }

  /** Takes a message that was just published; `message` is what lies at its position. */
  enqueue({ sequence, position, transientPosition }: Appended, message: Message): void {
    const at = this.init.durable ? position : transientPosition;
    this.#lastSequence = sequence;
    if (this.#isKeptUpWith()) {
      const entry = { sequence, position: at, deliveryCount: 0, redelivered: false };
      this.#loaded.push({ entry, message });
    } else this.#ready.push(sequence, at, 0, false);
    this.schedule();
  }

  /** All that is ready is about to be handed over: what comes now goes the same way, and not through the index. */
  #isKeptUpWith(): boolean {
    if (this.#ready.length > 0 || this.#loading.length > 0) return false;
    if (this.#loaded.length >= LIMITS.readAheadMessagesMax) return false;
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
    if (this.#nextConsumer > at) this.#nextConsumer--;
    if (this.#consumers.length === 0 && this.init.autoDelete && !this.#deleted)
      this.#environment.onUnused(this);
  }

  /** Calls one of the getter's functions, once: later, and before consumers are served. */
  get(getter: Getter): void {
    this.#getters.push(getter);
    this.schedule();
  }

  #serveGetters(): void {
    while (this.#getters.length > 0) {
      const loaded = this.#deleted ? undefined : this.#takeMessage();
      if (loaded === undefined && this.#loading.length > 0) return this.#failGettersIfStanding();
      const { holder, onMessage, onEmpty } = this.#getters.shift() as Getter;
      if (loaded === undefined) onEmpty();
      else this.#handOver(holder, loaded, onMessage);
    }
  }

  /** Who comes while the queue stands still is told why, and does not wait until it goes on. */
  #failGettersIfStanding(): void {
    if (this.#readFailure === undefined) return;
    for (const { onFailure } of this.#getters.splice(0)) onFailure(this.#readFailure.error);
  }

  #handOver(holder: Consumer, loaded: Loaded, onMessage: (delivery: Delivery) => void): void {
    this.#unsettled.set(loaded.entry.sequence, loaded.entry);
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
    this.#unsettled.delete(entry.sequence);
    if (this.#deleted && this.#unsettled.size === 0) this.#environment.onForgotten(this);
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
    if (durable) store.discard(id, this.#lastSequence, [...this.#unsettled.keys()], this.#takeAll());
    else for (const position of this.#takeAll()) store.settle(id, 0, position);
    // Getters that waited for the disk find nothing now.
    this.schedule();
    return count;
  }

  /** Empties the queue of what is ready as it is asked for. */
  *#takeAll(): Generator<Position> {
    for (const { entry } of this.#loaded.splice(0)) yield entry.position;
    const loading = this.#loading;
    this.#loading = [];
    this.#readFailure = undefined;
    for (const { position } of loading) yield position;
    for (let entry = this.#ready.shift(); entry !== undefined; entry = this.#ready.shift())
      yield entry.position;
  }

  #release({ sequence, position }: ReadyEntry): void {
    this.#environment.store.settle(this.init.id, sequence, position);
  }

  /** Removes what is ready, tells the consumers, and returns how many messages that were. */
  delete(): number {
    const count = this.purge();
    this.#deleted = true;
    this.#serveGetters();
    for (const consumer of this.#consumers.splice(0)) {
      consumer.cancelled = true;
      consumer.init.onCancel();
    }
    return count;
  }

  /** The message with this sequence, ready or unsettled; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): { position: Position; deliveryCount: number } | undefined {
    const entry =
      this.#unsettled.get(sequence) ??
      this.#loaded.find((one) => one.entry.sequence === sequence)?.entry ??
      this.#loading.find((one) => one.sequence === sequence);
    if (entry === undefined) return this.#ready.find(sequence, position);
    if (position !== undefined) entry.position = position;
    return entry;
  }

  /** Something changed that may let a message go to a consumer. */
  schedule(): void {
    if (this.#isScheduled) return;
    if (this.#getters.length === 0 && (this.#consumers.length === 0 || this.readyCount === 0)) return;
    this.#isScheduled = true;
    this.#environment.schedule(this.#turn);
  }

  #deliver(): void {
    this.#isScheduled = false;
    this.#serveGetters();
    for (let turn = 0; turn < LIMITS.deliveriesPerTurnMax; turn++) {
      if (this.#deleted) return;
      const at = this.#consumerInTurn();
      const consumer = this.#consumers[at];
      if (consumer === undefined) return;
      const loaded = this.#takeMessage();
      if (loaded === undefined) return;
      // Only now has it had its turn: without a message it is next again.
      this.#nextConsumer = at + 1;
      this.#unsettled.set(loaded.entry.sequence, loaded.entry);
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

  /** The next message, or undefined when there is none or it has yet to come from the disk. */
  #takeMessage(): Loaded | undefined {
    const coming = this.#loading[0]?.sequence ?? Infinity;
    const first = this.#loaded[0];
    const next = this.#ready.nextSequence();
    if (first !== undefined && first.entry.sequence < Math.min(next, coming)) {
      this.#loaded.shift();
      this.#readAhead();
      return first;
    }
    if (next >= coming) return undefined;
    const entry = this.#ready.shift();
    if (entry === undefined) return undefined;
    const message = this.#environment.store.peek(entry.position);
    if (message !== undefined) return { entry, message };
    // One read at a time: what came back and is not in memory waits for the one that is under way.
    if (this.#loading.length > 0) this.#ready.putBack(entry);
    else this.#load([entry], first === undefined ? LIMITS.readAheadMessagesMax : 1);
    return undefined;
  }

  /** While what was read is handed over, the next is read, if it has to be. */
  #readAhead(): void {
    if (this.#loading.length > 0 || this.#loaded.length > LIMITS.readAheadMessagesMax / 2) return;
    const next = this.#ready.nextPosition();
    if (next === undefined || this.#environment.store.peek(next) !== undefined) return;
    this.#load([], LIMITS.readAheadMessagesMax);
  }

  /** Reads what is next, after `entries` and with them up to so many. */
  #load(entries: ReadyEntry[], countMax: number): void {
    while (entries.length < countMax && this.#ready.length > 0)
      entries.push(this.#ready.shift() as ReadyEntry);
    this.#loading = entries;
    void this.#read(entries);
  }

  async #read(entries: readonly ReadyEntry[]): Promise<void> {
    const positions = entries.map((entry) => entry.position);
    try {
      const messages = await this.#environment.store.read(positions, LIMITS.readAheadBytesMax);
      if (this.#loading !== entries) return;
      this.#readFailure = undefined;
      this.#loading = [];
      for (const entry of entries.slice(messages.length)) this.#ready.putBack(entry);
      const read = messages.map((message, i) => ({ entry: entries[i] as ReadyEntry, message }));
      this.#loaded = merge(this.#loaded, read);
      this.schedule();
    } catch (error) {
      // A purge may have overtaken the read. Else nothing is skipped: the queue stands still, its messages are kept.
      if (this.#loading !== entries) return;
      // Or the store has brought messages forward, and the file where they were is gone.
      if (entries.some((entry, i) => entry.position !== positions[i])) return this.#read(entries);
      this.#standStill(entries, error);
    }
    return undefined;
  }

  /** Nothing is skipped. It is tried again later: a disk may have hiccups, and somebody may have cured it. */
  #standStill(entries: readonly ReadyEntry[], error: unknown): void {
    const isNew = this.#readFailure === undefined;
    this.#readFailure = { error };
    if (isNew) this.#environment.onReadFailure(this, error);
    this.#failGettersIfStanding();
    this.#environment.later(() => {
      if (this.#loading === entries && this.#readFailure !== undefined) void this.#read(entries);
    });
  }
}

function merge(a: Loaded[], b: Loaded[]): Loaded[] {
  return a.length === 0 ? b : [...a, ...b].toSorted((x, y) => x.entry.sequence - y.entry.sequence);
}
