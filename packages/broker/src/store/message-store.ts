import type { Message } from '../message/message.js';
import type { Position } from './record.js';

/** One message in one queue, as it was found at opening. */
export interface StoredEntry {
  /** Grows with each publish and move: a queue's order is the order of its sequences. */
  readonly sequence: number;
  readonly position: Position;
  /** How often it came back to its queue after a failed attempt. */
  readonly deliveryCount: number;
}

export interface Recovered {
  /** Messages by queue id, in order of sequence; also those of queues that no definition names any more. */
  readonly entries: ReadonlyMap<number, readonly StoredEntry[]>;
  readonly definitions: ReadonlyMap<string, unknown>;
}

/** Called once: without an error when durable, with one when it is not known to be. */
export type DurableCallback = (error?: Error) => void;

export interface Appended {
  readonly sequence: number;
  readonly position: Position;
}

/** Who knows what is in the queues: how a store asks before it brings a message forward, and tells where it is now. */
export interface Residents {
  /** The message as its queue has it, ready or unsettled; undefined when it is not there any more. */
  find(
    queueId: number,
    sequence: number,
  ): { readonly position: Position; readonly deliveryCount: number } | undefined;
  /** The message lies elsewhere from now on. It is there. */
  relocate(queueId: number, sequence: number, position: Position): void;
}

/**
 * Where messages are until they are settled. Everything but `open`, `read` and `close` is done at once in memory;
 * {@link whenDurable} says when it is on the disk. A message is kept until each queue that it went to has settled
 * or moved it.
 *
 * Queue ids with `journaled` in their name are durable queues; a persistent message in such a queue survives a crash.
 */
export interface MessageStore {
  /** Reads what is there. Rejects, and changes nothing, when it is damaged, locked or of an unknown version. */
  open(): Promise<Recovered>;
  /**
   * Takes a message for `journaledQueueIds`, and for `otherQueues` more that do not survive a crash. At least one.
   * Throws STORE_FAILED when the store can't promise anything any more, INVALID_MESSAGE or MESSAGE_TOO_LARGE when the
   * message can't be stored; then nothing has changed.
   */
  publish(message: Message, journaledQueueIds: readonly number[], otherQueues: number): Appended;
  /** The message left this queue for good. `durableQueue` as at publish. */
  settle(queueId: number, sequence: number, position: Position, durableQueue: boolean): void;
  /** The message is back in this queue, with a new delivery count. */
  requeue(queueId: number, sequence: number, position: Position, deliveryCount: number): void;
  /**
   * Takes the message out of one queue and puts it into others, with a new envelope and the same body: one step
   * that a crash can't split (J2). Throws as {@link publish}.
   */
  move(
    from: { queueId: number; sequence: number; position: Position; durableQueue: boolean },
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
  ): Appended;
  /** From now on messages may be brought forward, so that mostly settled files can go (J7). */
  compactFor(residents: Residents): void;
  /** Keeps `value` (JSON) under `key`; `null` removes it. */
  define(key: string, value: unknown): void;
  /** Calls back when everything done before this call is durable. Callbacks come in the order they were given. */
  whenDurable(callback: DurableCallback): void;
  /** The message, if it is in memory. */
  peek(position: Position): Message | undefined;
  /** The messages at these positions, which must not be settled yet, in the same order. */
  read(positions: readonly Position[]): Promise<Message[]>;
  /** Why nothing is accepted any more, if so. */
  readonly failure: Error | undefined;
  /** Makes everything durable and lets go of the disk. Idempotent. */
  close(): Promise<void>;
}
