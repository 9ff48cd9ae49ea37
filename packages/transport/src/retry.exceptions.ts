import { RpcException } from '@nestjs/microservices';
import { type Duration, flag, retryDelay } from './option-checks.js';

/**
 * Thrown by a handler: try this message again after `delay`, whatever the handler's policy says about this error.
 *
 * @publicApi
 */
export class RetryLaterException extends RpcException {
  /** Undefined: as the policy says. */
  readonly delayMs: number | undefined;
  /** Whether the attempt is used up. */
  readonly counts: boolean;

  /**
   * `delay`: a {@link Duration} up to 30 days. `counts: false` lets it come again without end; `reason` is for people.
   * Throws QueueOptionsException for a delay that is none, or a `counts` that is neither true nor false.
   */
  constructor(
    delay?: Duration,
    {
      reason = 'The handler asked for another try later.',
      counts = true,
    }: { reason?: string; counts?: boolean } = {},
  ) {
    super(reason);
    this.name = 'RetryLaterException';
    this.delayMs = delay === undefined ? undefined : retryDelay('delay', delay, 0);
    this.counts = flag('counts', counts, true);
  }

  /** Nest hands the error itself on, not what is in it. */
  override getError(): this {
    return this;
  }
}

/**
 * Thrown by a handler: trying again is no use. The message is dead-lettered at once.
 *
 * @publicApi
 */
export class UnrecoverableException extends RpcException {
  constructor(reason: string, options: ErrorOptions = {}) {
    super(reason);
    this.name = 'UnrecoverableException';
    if ('cause' in options) this.cause = options.cause;
  }

  /** As of {@link RetryLaterException}. */
  override getError(): this {
    return this;
  }
}

/**
 * A handler took longer than its `timeoutMs`. The attempt has failed; what the handler still does is not waited for.
 *
 * @publicApi
 */
export class HandlerTimeoutException extends Error {
  constructor(pattern: string, timeoutMs: number) {
    super(
      `The handler of '${pattern}' took longer than ${timeoutMs} ms. Give it more by timeoutMs or context.extend(), or let it watch context.signal.`,
    );
    this.name = 'HandlerTimeoutException';
  }
}
