import type { LoggerService } from '@nestjs/common';
import type { DeadLetterReason } from '../envelope.js';
import { describeError, nameOfError } from '../describe-error.js';
import type { LinkDelivery } from '../links/link.js';
import type { Origin } from './address.js';
import type { Outcome } from './outcome.js';
import type { Run } from './work.js';

/**
 * What becomes of messages that fail, for people and for machines: a sentence, and the same as fields beside it, which Nest's
 * JSON logger prints as `params`. Bodies and headers are never logged.
 */
export interface LogFields {
  readonly queue: string;
  readonly pattern: string;
  readonly messageId: string | undefined;
  readonly attempt: number;
  readonly maxAttempts?: number;
  readonly retryInMs?: number;
  readonly deadLetterQueue?: string;
  readonly reason?: DeadLetterReason;
  readonly error?: { readonly name: string; readonly message: string };
}

/** Nest's own, or an application's. */
export type HandlingLogger = Pick<LoggerService, 'error' | 'warn' | 'debug'>;

export class HandlingLog {
  readonly #logger: HandlingLogger;
  readonly #queue: string;

  constructor(logger: HandlingLogger, queue: string) {
    this.#logger = logger;
    this.#queue = queue;
  }

  /** An attempt that ended other than well. */
  failed(run: Run, outcome: Outcome | undefined): void {
    const { attempt, handler } = run;
    if (outcome === undefined || !('error' in outcome)) return;
    const { noAck, deadLetterQueue, retry } = handler.policy;
    const name = quoted(run.work.received.pattern);
    const why = describeError(outcome.error);
    const of = `attempt ${attempt} of ${retry.attempts} (queue '${this.#queue}')`;
    const fields = this.#fieldsOf(run, outcome.error);
    if (noAck) {
      this.#logger.error(`${name} failed, and is lost, since its queue has noAck: ${why}`, fields);
    } else if (outcome.kind === 'retry') {
      const { delayMs } = outcome;
      const text = `${name} failed in ${of}, and is tried again in ${delayMs} ms: ${why}`;
      this.#logger.warn(text, { ...fields, retryInMs: delayMs });
    } else {
      const { reason } = outcome;
      const isGone = deadLetterQueue === undefined;
      const where = isGone ? 'gone (deadLetter: false)' : `dead-lettered to '${deadLetterQueue}'`;
      const what = isGone ? { ...fields, reason } : { ...fields, reason, deadLetterQueue };
      this.#logger.error(`${name} failed in ${of}, and is ${where}: ${why}`, what);
    }
  }

  failedAfterSettling(run: Run, error: unknown): void {
    const name = quoted(run.work.received.pattern);
    const text = `The handler of ${name} settled the message by hand, and failed afterwards: ${describeError(error)}`;
    this.#logger.warn(text, this.#fieldsOf(run, error));
  }

  /** A request that did not begin: nobody waits for it. */
  late(run: Run): void {
    const name = quoted(run.work.received.pattern);
    const text = `${name} is not handled: it waited here until its caller's time was over.`;
    this.#logger.debug?.(text, this.#fieldsOf(run, undefined));
  }

  /** What no handler had. */
  givenUp(
    { message }: LinkDelivery,
    { pattern }: Origin,
    cause: {
      readonly deadLetterQueue: string;
      readonly reason: DeadLetterReason;
      readonly error: unknown;
      readonly attempts: number;
    },
  ): void {
    const { deadLetterQueue, reason, error, attempts } = cause;
    const why = error === undefined ? reason : `${reason}: ${describeError(error)}`;
    this.#logger.error(`${quoted(pattern)} is dead-lettered to '${deadLetterQueue}' (${why}).`, {
      queue: this.#queue,
      pattern,
      messageId: message.properties.messageId,
      attempt: attempts,
      deadLetterQueue,
      reason,
      ...errorOf(error),
    } satisfies LogFields);
  }

  #fieldsOf({ work, attempt, handler }: Run, error: unknown): LogFields {
    return {
      queue: this.#queue,
      pattern: work.received.pattern,
      messageId: work.delivery.message.properties.messageId,
      attempt,
      maxAttempts: handler.policy.retry.attempts,
      ...errorOf(error),
    };
  }
}

function errorOf(error: unknown): Pick<LogFields, 'error'> {
  return error === undefined ? {} : { error: { name: nameOfError(error), message: describeError(error) } };
}

/** Producers choose patterns: none may look like a line of the log. */
function quoted(pattern: string): string {
  return `'${pattern.replace(/\p{Cc}/gu, '?')}'`;
}
