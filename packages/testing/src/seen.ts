import type { DeadLetterReason, HandlingResult } from '@nestmq/transport';
import type { FieldTable, Message } from '@nestmq/broker';

/** What is true of a message wherever it is seen. */
export interface SeenMessage {
  /** What it was sent under. */
  readonly pattern: string;
  /**
   * What was sent. Of a published message, its body parsed as JSON, or the body's text where it is none: what a codec,
   * compression or encryption has made of it. Of a handled one what the handler got.
   */
  readonly data: unknown;
  readonly kind: 'event' | 'request';
  readonly headers: FieldTable;
  /** Empty if the producer set none. */
  readonly messageId: string;
  readonly message: Message;
  /** By the broker's clock, in milliseconds since the epoch. */
  readonly at: number;
}

/** A message that a client of the application has published. */
export interface PublishedMessage extends SeenMessage {
  /** The broker's word, and when there is none yet `waiting`. `unroutable`: no service has ever subscribed. */
  readonly outcome: 'waiting' | 'confirmed' | 'unroutable' | 'failed';
  /** Of a failed one. */
  readonly error?: Error | undefined;
}

/** What came of one attempt of a handler; or of a message without a handler, when `handler` is undefined. */
export interface HandledMessage extends SeenMessage {
  readonly queue: string;
  /** The handler's own pattern, with its wildcards. */
  readonly handler: string | undefined;
  /** 1 is the first; 0 when there is no handler. */
  readonly attempt: number;
  readonly result: HandlingResult;
  /** What the handler threw. */
  readonly error?: unknown;
  /** Until the next attempt. Milliseconds. */
  readonly delayMs?: number;
  /** Why it was given up. */
  readonly reason?: DeadLetterReason;
}
