import { BaseRpcContext } from '@nestjs/microservices';
import type { FieldTable, Message } from '@nestmq/broker';
import type { Run } from './handling/work.js';
import type { LinkDelivery } from './links/link.js';
import { duration, type Duration } from './option-checks.js';
import { RetryLaterException } from './retry.exceptions.js';
import { DONE, outcomeOf, REQUEUE } from './handling/outcome.js';

/**
 * What a handler gets by `@Ctx()`.
 *
 * A handler need not settle anything: it ends well, or throws. Who wants to settle by hand does so once; what the handler
 * returns or throws afterwards does not count. Each of several handlers of one event settles its own part.
 *
 * @publicApi
 */
export class QueueContext extends BaseRpcContext<[LinkDelivery, string, Run]> {
  /** The message as it came: exchange, routing key, AMQP properties and body. Not to be changed. */
  getMessage(): Message {
    return this.args[0].message;
  }

  /** The pattern that the message was sent with (a handler's own may hold wildcards). */
  getPattern(): string {
    return this.args[1];
  }

  /** All of them, those of this transport (`x-nestmq-…`) too. */
  getHeaders(): FieldTable {
    return this.getMessage().properties.headers ?? {};
  }

  /** What a dispatch hook attached to the packet: it travels as headers. */
  getMetadata(): FieldTable {
    return this.getHeaders();
  }

  get pattern(): string {
    return this.getPattern();
  }

  get headers(): FieldTable {
    return this.getHeaders();
  }

  get metadata(): FieldTable {
    return this.getMetadata();
  }

  /** The same for each delivery of one message: what a handler is idempotent by. Empty if the producer set none. */
  get messageId(): string {
    return this.getMessage().properties.messageId ?? '';
  }

  /** Whether the message may have been delivered before: after a failed attempt, a crash, or a restart. */
  get redelivered(): boolean {
    return this.args[0].redelivered || this.attempt > 1;
  }

  /** 1 for the first try; grows with each failed one. */
  get attempt(): number {
    return this.args[2].attempt;
  }

  /** How many there are at most, by the handler's policy. */
  get maxAttempts(): number {
    return this.args[2].handler.policy.retry.attempts;
  }

  /**
   * Aborts when the result does not count any more: shutdown has waited for the grace period, the handler's time is over,
   * or the connection to the broker is lost. The message comes again.
   */
  get signal(): AbortSignal {
    return this.args[2].signal;
  }

  /** The message is done with, as far as this handler is concerned. */
  ack(): void {
    this.args[2].settleByHand(DONE);
  }

  /** Back to its place, and delivered again at once. Uses up no attempt. */
  nack(): void {
    this.args[2].settleByHand(REQUEUE);
  }

  /** Dead-lettered at once. */
  reject(reason?: string): void {
    this.deadLetter(reason);
  }

  /**
   * Another attempt, after `delay` or as the handler's policy says; dead-lettered when there is none left. Milliseconds
   * or `'5m'`. Throws QueueOptionsException for a delay that is none.
   */
  retry(delay?: Duration): void {
    const run = this.args[2];
    run.settleByHand(outcomeOf(new RetryLaterException(delay), run.attempt, run.handler.policy.retry));
  }

  /** Dead-lettered at once; `reason` is for people. */
  deadLetter(reason = 'The handler gave it up.'): void {
    this.args[2].settleByHand({ kind: 'dead', reason: 'unrecoverable', error: new Error(reason) });
  }

  /**
   * More time for a handler with a `timeoutMs`: that much from now. Does nothing without one. Milliseconds or `'30s'`.
   * Throws QueueOptionsException for what is none.
   */
  extend(by: Duration): void {
    this.args[2].extend(duration('by', by, 0, 1, 86_400_000));
  }

  /** What the handler threw, before filters made another error of it. @internal */
  recordThrown(error: unknown): void {
    this.args[2].thrown = { error };
  }
}
