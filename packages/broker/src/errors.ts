import { isNativeError } from 'node:util/types';

/** How far a failure reaches: the one operation, the channel, the connection, or the whole broker. */
export type Severity = 'operation' | 'channel' | 'connection' | 'broker';

/** AMQP 0-9-1 reply codes (section 1.2 of the reference) that the engine itself gives. */
export const REPLY_CODES = {
  ACCESS_REFUSED: 403,
  NOT_FOUND: 404,
  RESOURCE_LOCKED: 405,
  PRECONDITION_FAILED: 406,
  COMMAND_INVALID: 503,
  NOT_ALLOWED: 530,
  NOT_IMPLEMENTED: 540,
} as const;

/** The name of a reply code: {@link REPLY_CODES}. */
export type ReplyCode = keyof typeof REPLY_CODES;

/** AMQP's reply codes, and those of the engine that AMQP has no words for. */
export type BrokerErrorCode =
  | ReplyCode
  | 'INVALID_OPTION'
  | 'INVALID_DEFINITION'
  | 'INVALID_MESSAGE'
  | 'MESSAGE_TOO_LARGE'
  | 'TRANSACTION_TOO_LARGE'
  | 'BLOCKED'
  | 'REJECTED'
  | 'DIRECTORY_UNUSABLE'
  | 'DIRECTORY_LOCKED'
  | 'JOURNAL_DAMAGED'
  | 'JOURNAL_VERSION'
  | 'STORE_FAILED'
  | 'STORE_TROUBLE'
  | 'CLOSED';

/** What a {@link BrokerError} has beside its code and its text. */
export interface BrokerErrorInit {
  readonly severity?: Severity;
  /** What the reader can do about it; becomes the last sentence of the message. */
  readonly cure?: string;
  readonly cause?: unknown;
}

/** Every error the broker gives on purpose. `code` is stable; the message is for people and names the cure. */
export class BrokerError extends Error {
  readonly code: BrokerErrorCode;
  readonly severity: Severity;
  readonly cure: string | undefined;

  constructor(code: BrokerErrorCode, what: string, init: BrokerErrorInit = {}) {
    super(
      init.cure === undefined ? what : `${what} ${init.cure}`,
      init.cause === undefined ? undefined : { cause: init.cause },
    );
    this.name = 'BrokerError';
    this.code = code;
    this.severity = init.severity ?? 'operation';
    this.cure = init.cure;
  }
}

/** A channel error in RabbitMQ's words: `NOT_FOUND - no queue 'q' in vhost '/'`. */
export function channelError(code: ReplyCode, text: string): BrokerError {
  return new BrokerError(code, `${code} - ${text}`, { severity: 'channel' });
}

/** A connection error in RabbitMQ's words. */
export function connectionError(code: ReplyCode, text: string): BrokerError {
  return new BrokerError(code, `${code} - ${text}`, { severity: 'connection' });
}

// Not by `instanceof Error`: the system's errors are of another realm where tests run in one of their own (Jest).

export function messageOf(error: unknown): string {
  return isNativeError(error) ? error.message : String(error);
}

/** The `code` of a system error (ENOENT, EADDRINUSE, …), or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = isNativeError(error) ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
