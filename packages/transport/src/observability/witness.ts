import type { Message } from '@nestmq/broker';
import type { DeadLetterReason } from '../envelope.js';
import type { HandlingResult, MessageKind } from './metrics.js';

/**
 * The key in QueueOptions of what sees every message on its way: a test harness. A symbol, since no application needs it.
 *
 * @publicApi
 */
export const QUEUE_WITNESS: unique symbol = Symbol('nestmq:witness');

/**
 * A message as it is handed to a handler.
 *
 * @publicApi
 */
export interface WitnessedMessage {
  readonly queue: string;
  /** What it was sent under. */
  readonly pattern: string;
  readonly message: Message;
}

/**
 * One attempt of one handler at one message.
 *
 * @publicApi
 */
export interface WitnessedAttempt extends WitnessedMessage {
  readonly kind: MessageKind;
  /** What the handler got. */
  readonly data: unknown;
  /** The handler's own pattern, with its wildcards. */
  readonly handler: string;
  /** 1 is the first. */
  readonly attempt: number;
}

/**
 * A message that has come and was read, before its handlers begin.
 *
 * @publicApi
 */
export interface WitnessedArrival extends WitnessedMessage {
  readonly kind: MessageKind;
  /** What the handlers get. */
  readonly data: unknown;
  /** So many messages of the queue may be unsettled at once. */
  readonly prefetchCount: number;
  /** The key of each handler that keeps an order, if it has one for this message. */
  readonly orderingKeys: readonly string[];
}

/**
 * What came of an attempt.
 *
 * @publicApi
 */
export interface WitnessedResult {
  readonly result: HandlingResult;
  /** What the handler threw, before filters made another error of it. */
  readonly error?: unknown;
  /** Until the next attempt, of a result `retried`. Milliseconds. */
  readonly delayMs?: number;
  /** Of a result `dead-lettered` or `discarded`. */
  readonly reason?: DeadLetterReason;
}

/**
 * What a witness has to say of a publish.
 *
 * @publicApi
 */
export interface WitnessedPublish {
  /** Told how it ended, before who publishes is. */
  readonly onDone: (error?: Error, unroutable?: boolean) => void;
  /** How often the message goes out once more. */
  readonly copies: number;
  /** Asked when it has ended: who publishes is told of it when this has resolved, and no earlier. @default at once */
  readonly held?: () => Promise<void> | undefined;
}

/**
 * Sees each message of one application, hop by hop, as it happens; see {@link QUEUE_WITNESS}. Its methods must not throw.
 *
 * @publicApi
 */
export interface QueueWitness {
  /** A client hands a message to the broker. */
  publishing(message: Message, kind: MessageKind): WitnessedPublish;
  /** A message came from a queue. Once each time, with the same `work` until it is settled. */
  delivered(work: object, queue: string, message: Message): void;
  /** It was given up without a handler. */
  refused(work: object, message: WitnessedMessage, reason: DeadLetterReason): void;
  /** Its handlers begin when what is returned has resolved. @default at once */
  arrived(arrival: WitnessedArrival): Promise<void> | undefined;
  /** A handler begins. */
  started(attempt: WitnessedAttempt): void;
  /** It has come to an end; what follows from that is done by {@link QueueWitness.settled}. */
  ended(work: object, attempt: WitnessedAttempt, result: WitnessedResult): void;
  /** The message is settled, or back in its queue when `isDone` is false. */
  settled(work: object, isDone: boolean): void;
  /** What a handler of a message with this pattern throws now, instead of being called; undefined: it is called. */
  interruption(pattern: string): { readonly error: unknown } | undefined;
}
