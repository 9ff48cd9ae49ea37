import { RpcException } from '@nestjs/microservices';

/**
 * An option that can't be meant, of a module, a handler or a record. Thrown before anything is opened or sent.
 *
 * @publicApi
 */
export class QueueOptionsException extends Error {
  constructor(what: string, cure: string) {
    super(`${what} ${cure}`);
    this.name = 'QueueOptionsException';
  }
}

/**
 * `send` to a pattern that no running or stopped service handles. Fails at once, not after a timeout.
 *
 * @publicApi
 */
export class NoHandlerException extends Error {
  constructor(readonly pattern: string) {
    super(
      `No service handles '${pattern}'. Start the service whose @MessagePattern matches it (once is enough: its queue stays), or correct the pattern.`,
    );
    this.name = 'NoHandlerException';
  }
}

/**
 * The client was closed while an answer was awaited.
 *
 * @publicApi
 */
export class QueueClosedException extends Error {
  constructor() {
    super('The client was closed before the answer came. The request may have been handled.');
    this.name = 'QueueClosedException';
  }
}

/**
 * The broker is away, and waiting for it has come to its end; what was to be sent was not stored. Send it again when it
 * is back.
 *
 * @publicApi
 */
export class QueueUnavailableException extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(what, options);
    this.name = 'QueueUnavailableException';
  }
}

/**
 * A body that can't be read: unknown, damaged, too large when decompressed, or not encrypted with a key that is known. An
 * event is dead-lettered then, the caller of a request is told.
 *
 * @publicApi
 */
export class UnreadableBodyException extends Error {
  constructor(what: string, cure: string, options?: ErrorOptions) {
    super(`${what} ${cure}`, options);
    this.name = 'UnreadableBodyException';
  }
}

/**
 * No answer came in time. The request may have been handled, or may still be.
 *
 * @publicApi
 */
export class QueueTimeoutException extends Error {
  constructor(
    readonly pattern: string,
    readonly timeoutMs: number,
  ) {
    super(
      `No answer to '${pattern}' within ${timeoutMs} ms. The request may have been handled, or may still be. Make its handler faster, or wait longer: 'requestTimeout', or the 'timeout' of a record.`,
    );
    this.name = 'QueueTimeoutException';
  }
}

/**
 * An Error that a handler of another service failed with: `name` is its class there. Thrown on in a handler it goes to
 * that one's caller as it is.
 *
 * @publicApi
 */
export class RemoteException extends RpcException {
  readonly code: unknown;
  readonly data: unknown;
  /** All that was sent of it: name, message, code, data and its other fields. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(name: string, message: string, details: object) {
    super(message);
    this.name = name;
    this.details = details as Record<string, unknown>;
    this.code = this.details['code'];
    this.data = this.details['data'];
  }

  /** Itself: thrown on, it goes to the next caller as it is. */
  override getError(): object {
    return this;
  }
}

/**
 * There is no such queue, or pattern, where QueueAdmin was asked for it.
 *
 * @publicApi
 */
export class QueueNotFoundException extends Error {
  constructor(what: string, known: readonly string[]) {
    super(`There is no ${what}. This service has: ${known.join(', ') || 'nothing'}.`);
    this.name = 'QueueNotFoundException';
  }
}

/**
 * A difference between what is declared and what is there.
 *
 * @publicApi
 */
export interface TopologyDrift {
  readonly kind: 'queue' | 'exchange';
  readonly name: string;
  /** The argument that differs. */
  readonly argument: string;
  /** What this service declares, in the broker's words. */
  readonly expected: string;
  /** What is there, in the broker's words. */
  readonly found: string;
}

/**
 * A queue or an exchange is there, with other arguments than this service declares. It is used as it is.
 *
 * @publicApi
 */
export class TopologyDriftException extends Error {
  constructor(readonly drift: TopologyDrift) {
    const { kind, name, argument, expected, found } = drift;
    super(
      `The ${kind} '${name}' is there with another '${argument}': expected ${expected}, found ${found}. It is used as it is. To migrate, let its messages be handled, delete it, and start the service again; or change the option back.`,
    );
    this.name = 'TopologyDriftException';
  }
}
