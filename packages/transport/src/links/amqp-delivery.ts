import type { Message } from '@nestmq/broker';
import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import { messageFrom } from './amqp-message.js';
import type { LinkDelivery } from './link.js';

/** {@link LinkDelivery} over a channel. */
export class AmqpDelivery implements LinkDelivery {
  readonly message: Message;
  readonly redelivered: boolean;
  readonly #raw: ConsumeMessage | GetMessage;
  #owner: UnsettledDeliveries | undefined;

  /** Without an owner it is settled already. */
  constructor(raw: ConsumeMessage | GetMessage, owner: UnsettledDeliveries | undefined) {
    this.#raw = raw;
    this.#owner = owner;
    this.message = messageFrom(raw);
    this.redelivered = raw.fields.redelivered;
    owner?.add(this);
  }

  get settled(): boolean {
    return this.#owner === undefined;
  }

  ack(): void {
    this.#settle((channel) => channel.ack(this.#raw));
  }

  /** RabbitMQ 4.3 counts what is rejected as failed, and not what is nacked; before, both count. */
  requeue({ failed }: { readonly failed: boolean }): void {
    this.#settle((channel) =>
      failed ? channel.reject(this.#raw, true) : channel.nack(this.#raw, false, true),
    );
  }

  #settle(send: (channel: Channel) => void): void {
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.settle(this, send);
  }

  /** Its channel is closed. */
  lose(): void {
    this.#owner = undefined;
  }
}

/** What a channel has handed out and not been told of. */
export class UnsettledDeliveries {
  readonly #channel: Channel;
  readonly #unsettled = new Set<AmqpDelivery>();
  #onEmpty: (() => void) | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  add(delivery: AmqpDelivery): void {
    this.#unsettled.add(delivery);
  }

  settle(delivery: AmqpDelivery, send: (channel: Channel) => void): void {
    if (!this.#unsettled.delete(delivery)) return;
    try {
      send(this.#channel);
    } catch {
      // The channel is about to close: the broker hands the delivery out anew, as if this had come too late.
    }
    if (this.#unsettled.size === 0) this.#onEmpty?.();
  }

  /** The channel is closed: they are settled, and come again. */
  lose(): readonly AmqpDelivery[] {
    const lost = [...this.#unsettled];
    this.#unsettled.clear();
    for (const delivery of lost) delivery.lose();
    return lost;
  }

  /** Calls back once all are settled, which may be now. */
  whenEmpty(callback: () => void): void {
    if (this.#unsettled.size === 0) callback();
    else this.#onEmpty = callback;
  }
}
