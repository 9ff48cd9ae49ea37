import { BaseRpcContext } from '@nestjs/microservices';
import type { FieldTable, Message } from '@nestmq/broker';
import type { LinkDelivery } from './links/link.js';
import type { RunningDeliveries } from './running-deliveries.js';

/**
 * What a handler gets by `@Ctx()`.
 *
 * @publicApi
 */
export class QueueContext extends BaseRpcContext<[LinkDelivery, string, RunningDeliveries, number]> {
  /** The error of the handler as it was thrown, before filters made another of it. @internal */
  thrown: { readonly error: unknown } | undefined;

  /** The message as it came: exchange, routing key, AMQP properties and body. Not to be changed. */
  getMessage(): Message {
    return this.args[0].message;
  }

  /** The pattern that the message was sent with (a handler's own may hold wildcards). */
  getPattern(): string {
    return this.args[1];
  }

  getHeaders(): FieldTable {
    return this.getMessage().properties.headers ?? {};
  }

  /** What a dispatch hook attached to the packet: it travels as headers. */
  getMetadata(): FieldTable {
    return this.getHeaders();
  }

  /** The same for each delivery of one message: what a handler is idempotent by. Empty if the producer set none. */
  get messageId(): string {
    return this.getMessage().properties.messageId ?? '';
  }

  /** Whether the message may have been delivered before: after a failed attempt, a crash, or a restart. */
  get redelivered(): boolean {
    return this.args[0].redelivered;
  }

  /** 1 for the first try; grows with each failed one. */
  get attempt(): number {
    return this.args[3];
  }

  /** Aborts when shutdown has waited for the grace period: the message goes back to its queue. */
  get signal(): AbortSignal {
    return this.args[2].signalOf(this.args[0]);
  }
}
