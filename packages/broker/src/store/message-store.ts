import type { Clock } from '../clock.js';
import type { Message } from '../message/message.js';
import type { Position } from './record.js';

/** What one queue has to know of a message without reading it. Kept with the message, for each queue of its own. */
export interface QueueMark {
  /** The message is dead from then on. Milliseconds since 1970; 0: never. */
  readonly expiresAt: number;
  /** It is not delivered before. Milliseconds since 1970; 0: at once. */
  readonly readyAt: number;
  /** 0 to 255; 0 is the lowest. */
  readonly priority: number;
}

/** The messages of one queue as they were found at opening, in order of sequence: a row each, in columns. */
export interface StoredEntries {
  readonly length: number;
  /** Grow with each publish and move: a queue's order is the order of its sequences. */
  readonly sequences: Float64Array;
  readonly positions: Float64Array;
  /** How often each came back to its queue after a failed attempt. */
  readonly deliveryCounts: Uint32Array;
  /** Of the messages' marks; each is there only when some message has another value than 0. */
  readonly expiresAt?: Float64Array;
  readonly readyAt?: Float64Array;
  readonly priorities?: Uint8Array;
}

/** What a store found when it was opened. */
export interface Recovered {
  /** Messages by queue id; also those of queues that no definition names any more. */
  readonly entries: ReadonlyMap<number, StoredEntries>;
  readonly definitions: ReadonlyMap<string, unknown>;
  /** Segments are gone, and the snapshot that should have their definitions is not there. */
  readonly lacksSnapshot: boolean;
}

/** What a store of another make is told of its broker. */
export interface StoreInit {
  /** All waiting should be by this clock. */
  readonly clock: Clock;
  /** To be told when {@link MessageStore.blocked} changes: publishers wait, or go on. */
  readonly onBlocked: (reason: string | undefined) => void;
  /** To be told when {@link MessageStore.failure} is there: consumers would not hear of it. */
  readonly onFailure: (error: Error) => void;
  /** To be told when it is gone. */
  readonly onHealed: () => void;
}

/** Makes a store that nobody has opened yet. */
export type StoreFactory = (init: StoreInit) => MessageStore;

/** Called once: without an error when durable, with one when it is not known to be. */
export type DurableCallback = (error?: Error) => void;

/** Where a store has put a message. */
export interface Appended {
  readonly sequence: number;
  /** Where durable queues find it. */
  readonly position: Position;
  /** Where queues that do not survive a crash find it: in memory. The same, if the message itself is transient. */
  readonly transientPosition: Position;
}

/** A message in one queue, as that queue knows it. */
export interface Held {
  readonly queueId: number;
  readonly sequence: number;
  readonly position: Position;
}

/** One for each journaled queue, in their order; undefined where a queue has nothing to know. */
export type Marks = readonly (QueueMark | undefined)[];

/** A message as its queue knows it now. */
export interface Residence {
  readonly position: Position;
  readonly deliveryCount: number;
  /** As published; `readyAt` as the last requeue has it. @default all 0 */
  readonly mark?: QueueMark | undefined;
}

/** What a message is published to. At least one queue. */
export interface Publication {
  readonly message: Message;
  /** Durable queues: a persistent message in them survives a crash. */
  readonly journaledQueueIds: readonly number[];
  /** How many more queues get it that do not survive a crash. */
  readonly otherQueues: number;
  /** As in {@link MessageStore.publish}. */
  readonly marks?: Marks | undefined;
}

/** Who knows what is in the queues: how a store asks before it brings a message forward, and tells where it is now. */
export interface Residents {
  /** The message as its queue has it, ready or unsettled; undefined when it is not there any more. */
  find(queueId: number, sequence: number): Residence | undefined;
  /** The message lies elsewhere from now on. It is there. */
  relocate(queueId: number, sequence: number, position: Position): void;
}

/**
 * Where messages are until they are settled. Everything but `open`, `read` and `close` is done at once in memory;
 * {@link whenDurable} says when it is on the disk. A message is kept until each queue that it went to has settled
 * or moved it, or discarded it.
 *
 * Positions below 0 are in memory only: of transient messages, and of messages in queues that do not survive a crash.
 */
export interface MessageStore {
  /** Reads what is there. Rejects, and changes nothing, when it is damaged, locked or of an unknown version. */
  open(): Promise<Recovered>;
  /**
   * Takes a message for `journaledQueueIds`, and for `otherQueues` more that do not survive a crash. At least one.
   * `marks` are found again with it at the next opening. @default no queue needs one
   * Throws STORE_FAILED while the store can't promise anything, INVALID_MESSAGE or MESSAGE_TOO_LARGE when the
   * message or a mark can't be stored; then nothing has changed.
   */
  publish(
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended;
  /**
   * Takes messages and settles others, all of it or, after a crash, none (J2; AMQP 0-9-1 `tx.commit`). In the order of
   * `publications`. Throws as {@link publish}, and TRANSACTION_TOO_LARGE; then nothing has changed.
   */
  transact(publications: readonly Publication[], settled: readonly Held[]): Appended[];
  /** The message left this queue for good. */
  settle(queueId: number, sequence: number, position: Position): void;
  /**
   * The message is back in this queue, with a new delivery count, and is not delivered before `readyAt`, whatever its
   * mark said of that until now. Milliseconds since 1970. @default 0: at once
   * Throws INVALID_MESSAGE for a time that can't be stored.
   */
  requeue(
    queueId: number,
    sequence: number,
    position: Position,
    deliveryCount: number,
    readyAt?: number,
  ): void;
  /**
   * Takes the message out of one queue and puts it into others, with a new envelope and the same body: one step
   * that a crash can't split (J2). `from.message` is the message as this store gave it. Its old mark stays behind;
   * `marks` are of the new queues, as in {@link publish}, which it throws as.
   */
  move(
    from: Held & { readonly message: Message },
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended;
  /**
   * All messages of a durable queue up to a sequence left it for good, purged or expired, but those that are `kept`:
   * one record, however many. `positions` are those that left: the first is asked for before this returns, others of very many
   * in turns to come.
   */
  discard(queueId: number, through: number, kept: readonly number[], positions: Iterable<Position>): void;
  /** From now on messages may be brought forward, so that mostly settled files can go (J7). */
  compactFor(residents: Residents): void;
  /** Keeps `value` (JSON) under `key`; `null` removes it. */
  define(key: string, value: unknown): void;
  /** Calls back when everything done before this call is durable. Callbacks come in the order they were given. */
  whenDurable(callback: DurableCallback): void;
  /** The message, if it is in memory. */
  peek(position: Position): Message | undefined;
  /**
   * The messages at these positions, which must not be settled yet, in the same order. Stops, after one at least, when
   * the bodies that it had to read have `bytesMax` bytes together. @default all of them
   */
  read(positions: readonly Position[], bytesMax?: number): Promise<Message[]>;
  /** Why nothing is accepted now, if so: a write or sync failed. Gone when the store has proved itself again (J5). */
  readonly failure: Error | undefined;
  /** Why publishers should wait now, if so: the disk is nearly full. Settlements, moves and reads go on. */
  readonly blocked: string | undefined;
  /** Makes everything durable and lets go of the disk. Idempotent. */
  close(): Promise<void>;
}
