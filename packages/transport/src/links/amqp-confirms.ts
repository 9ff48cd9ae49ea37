import type { Message } from '@nestmq/broker';
import type { ConfirmChannel, Message as AmqplibMessage } from 'amqplib';
import { type AmqpError, amqpError } from './amqp-errors.js';
import { propertiesTo } from './amqp-fields.js';
import type { AmqpSession } from './amqp-session.js';
import type { PublishCallback, PublishOptions } from './link.js';

export interface AmqpPublishOptions extends Omit<PublishOptions, 'delayMs'> {
  /** It settles a delivery that comes again when the connection is lost: then it is not published again, but fails. */
  readonly once?: boolean;
}

/** A publish on its way. */
export interface Outgoing extends AmqpPublishOptions {
  readonly message: Message;
  /** Grows with each publish. */
  readonly sequence: number;
  done: PublishCallback;
  /** Since when it waits. Milliseconds since the epoch. */
  since: number;
  /** When the broker nacked it first. Milliseconds since the epoch. */
  nackedAt: number | undefined;
}

export type Confirmation = 'routed' | 'unroutable' | 'nacked';

export interface ConfirmsListener {
  onConfirmed(publish: Outgoing, confirmation: Confirmation): void;
  /** What can't be encoded. Never before `send` has returned. */
  onUnsendable(publish: Outgoing, error: Error): void;
  /**
   * The channel is closed, with these unconfirmed, in their order. `refusal` is what the broker said to one of them, without
   * saying to which; undefined when the connection was lost.
   */
  onClosed(confirms: AmqpConfirms, unconfirmed: readonly Outgoing[], refusal: AmqpError | undefined): void;
}

/** One channel that publishes with confirms. */
export class AmqpConfirms {
  readonly #channel: ConfirmChannel;
  readonly #listener: ConfirmsListener;
  readonly #unconfirmed = new Map<Outgoing, { returned: boolean }>();
  #bytes = 0;
  #retired = false;

  private constructor(channel: ConfirmChannel, listener: ConfirmsListener) {
    this.#channel = channel;
    this.#listener = listener;
    let refusal: AmqpError | undefined;
    channel.on('return', (returned) => this.#onReturned(returned));
    channel.on('error', (error) => {
      refusal = amqpError(error);
    });
    // Before amqplib itself fails what is unconfirmed: it is to be sent again.
    channel.prependListener('close', () => this.#listener.onClosed(this, this.forgetAll(), refusal));
  }

  static async open(session: AmqpSession, listener: ConfirmsListener): Promise<AmqpConfirms> {
    return new AmqpConfirms(await session.openPublishing(), listener);
  }

  get count(): number {
    return this.#unconfirmed.size;
  }

  /** Of the bodies that are unconfirmed. */
  get bytes(): number {
    return this.#bytes;
  }

  all(): Outgoing[] {
    return [...this.#unconfirmed.keys()];
  }

  oldest(): Outgoing | undefined {
    return this.#unconfirmed.keys().next().value;
  }

  /** `message`: the publish's, as it is to be now. */
  send(publish: Outgoing, { exchange, routingKey, properties, body }: Message): void {
    this.#unconfirmed.set(publish, { returned: false });
    this.#bytes += body.length;
    // Always mandatory: the caller is told where it did not go.
    const options = { ...propertiesTo(properties), mandatory: true };
    try {
      this.#channel.publish(exchange, routingKey, body, options, (error: unknown) =>
        this.#onConfirmed(publish, error !== null && error !== undefined),
      );
    } catch (error) {
      queueMicrotask(() => {
        if (this.forget(publish)) this.#listener.onUnsendable(publish, error as Error);
      });
    }
  }

  /** Its confirm will not be told. False when it is not unconfirmed here. */
  forget(publish: Outgoing): boolean {
    if (!this.#unconfirmed.delete(publish)) return false;
    this.#bytes -= publish.message.body.length;
    if (this.#retired) this.#closeOnceEmpty();
    return true;
  }

  /** Gives back what is unconfirmed, in its order. */
  forgetAll(): Outgoing[] {
    const all = this.all();
    this.#unconfirmed.clear();
    this.#bytes = 0;
    return all;
  }

  /** Nothing more is sent: the channel closes when all is confirmed. */
  retire(): void {
    this.#retired = true;
    this.#closeOnceEmpty();
  }

  #closeOnceEmpty(): void {
    if (this.#unconfirmed.size > 0) return;
    this.#channel.close().catch(() => {
      // Closed with its connection.
    });
  }

  #onConfirmed(publish: Outgoing, isNacked: boolean): void {
    const { returned } = this.#unconfirmed.get(publish) ?? { returned: false };
    if (!this.forget(publish)) return;
    if (isNacked) this.#listener.onConfirmed(publish, 'nacked');
    else this.#listener.onConfirmed(publish, returned ? 'unroutable' : 'routed');
  }

  /** Comes before its confirm. Of messages that are alike in all, one is as good as the other. */
  #onReturned(returned: AmqplibMessage): void {
    for (const [publish, state] of this.#unconfirmed) {
      if (state.returned || !isAlike(publish.message, returned)) continue;
      state.returned = true;
      return;
    }
  }
}

function isAlike(message: Message, { fields, properties, content }: AmqplibMessage): boolean {
  return (
    message.routingKey === fields.routingKey &&
    message.exchange === fields.exchange &&
    message.properties.messageId === properties.messageId &&
    message.properties.correlationId === properties.correlationId &&
    message.body.equals(content)
  );
}
