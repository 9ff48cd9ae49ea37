import { BaseRpcContext } from '@nestjs/microservices';
import type { Message } from '@nestmq/broker';
import type { Duration } from './option-checks.js';
import type { QueueContext } from './queue.context.js';

/**
 * What the handler of a batch gets by `@Ctx()`; its payload is the list of the data, in the order of `contexts`.
 *
 * When the handler ends well, all its messages are done with; when it throws, each is tried again or dead-lettered, or
 * only those that a BatchFailedException names. Who settles one by its own context has settled that one.
 *
 * @publicApi
 */
export class QueueBatchContext extends BaseRpcContext<[readonly QueueContext[], string]> {
  /** What the handler threw, before filters made another error of it. @internal */
  thrown: { readonly error: unknown } | undefined;
  #signal: AbortSignal | undefined;

  /** One a message. */
  get contexts(): readonly QueueContext[] {
    return this.args[0];
  }

  get messages(): readonly Message[] {
    return this.contexts.map((context) => context.getMessage());
  }

  /** The handler's own pattern; each message's is in its context. */
  getPattern(): string {
    return this.args[1];
  }

  get pattern(): string {
    return this.getPattern();
  }

  /** Aborts when the result does not count any more for one of them. */
  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any(this.contexts.map(({ signal }) => signal));
    return this.#signal;
  }

  /**
   * More time for a handler with a `timeoutMs`: that much from now. Does nothing without one. Milliseconds or `'30s'`.
   * Throws QueueOptionsException for what is none.
   */
  extend(by: Duration): void {
    this.contexts[0]?.extend(by);
  }

  /** @internal */
  recordThrown(error: unknown): void {
    this.thrown = { error };
  }
}
