import type { Channel, ConsumeMessage } from 'amqplib';
import type { Clock } from '@nestmq/broker';
import { AmqpDelivery, UnsettledDeliveries } from './amqp-delivery.js';
import { amqpError, NOT_FOUND } from './amqp-errors.js';
import { type AmqpSession, closeChannel } from './amqp-session.js';
import type { ConsumeOptions, Subscription } from './link.js';

/** An exclusive consumer whose lost connection the broker has not noticed yet stands in the way for a while. */
const RESUBSCRIBE_MS = 1000;

export interface ConsumerInit {
  readonly queue: string;
  /** The queue's name of now. */
  readonly nameOf: (queue: string) => string;
  readonly options: ConsumeOptions;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
  /** It consumes no more, and never will, and all that was settled is on its way to the broker. */
  readonly onEnd: (consumer: AmqpConsumer) => void;
}

interface Open {
  readonly channel: Channel;
  readonly unsettled: UnsettledDeliveries;
  tag: string | undefined;
  /** Under way once it is cancelled and all is settled. */
  closing: Promise<void> | undefined;
}

/** A consumer that comes back: on a channel of its own, which is opened anew in each session. */
export class AmqpConsumer implements Subscription {
  readonly #init: ConsumerInit;
  #open: Open | undefined;
  #session: AmqpSession | undefined;
  #cancelled = false;

  constructor(init: ConsumerInit) {
    this.#init = init;
  }

  get queue(): string {
    return this.#init.queue;
  }

  /** Rejects with AmqpError when the broker refuses it. */
  async subscribe(session: AmqpSession): Promise<void> {
    this.#session = session;
    const { options, queue, nameOf } = this.#init;
    const channel = await session.openChannel();
    const open: Open = {
      channel,
      unsettled: new UnsettledDeliveries(channel),
      tag: undefined,
      closing: undefined,
    };
    this.#open = open;
    channel.on('error', (error) => {
      // A refused subscription is told to its caller.
      if (open.tag !== undefined) this.#init.onError(amqpError(error));
    });
    channel.on('close', () => this.#onClosed(open));
    try {
      await channel.prefetch(options.prefetchCount);
      const consuming = { noAck: options.noAck, exclusive: options.exclusive === true };
      const { consumerTag } = await channel.consume(
        nameOf(queue),
        (raw) => this.#onMessage(open, raw),
        consuming,
      );
      open.tag = consumerTag;
    } catch (error) {
      throw amqpError(error);
    }
    if (this.#cancelled) this.#stop(open);
  }

  /** In a new session. Never rejects: tries again while the session lasts, and gives up when the queue is gone. */
  async resubscribe(session: AmqpSession): Promise<void> {
    if (this.#cancelled) return;
    try {
      await this.subscribe(session);
    } catch (error) {
      if (session.ended) return;
      this.#init.onError(error as Error);
      if (amqpError(error).code === NOT_FOUND) this.queueDeleted();
      else this.#init.clock.setTimer(RESUBSCRIBE_MS, () => void this.#again(session));
    }
  }

  async #again(session: AmqpSession): Promise<void> {
    if (!session.ended) await this.resubscribe(session);
  }

  #onMessage(open: Open, raw: ConsumeMessage | null): void {
    const { noAck, onDelivery } = this.#init.options;
    if (raw === null) return this.queueDeleted();
    const delivery = new AmqpDelivery(raw, noAck ? undefined : open.unsettled);
    // What was on its way when it was cancelled goes back; what the broker has forgotten can't.
    if (this.#cancelled && !noAck) delivery.requeue({ failed: false });
    else onDelivery(delivery);
  }

  /**
   * The broker has cancelled it, or its queue is known to be gone. What was delivered can still be settled. Idempotent. The
   * broker is not asked to cancel it: RabbitMQ 3.10 would end the connection where it has forgotten to do so by itself.
   */
  queueDeleted(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    if (this.#open === undefined) this.#init.onEnd(this);
    else if (this.#open.tag !== undefined) closeWhenSettled(this.#open);
    this.#init.options.onCancel();
  }

  #onClosed(open: Open): void {
    const lost = open.unsettled.lose();
    if (this.#open === open) this.#open = undefined;
    if (this.#cancelled) this.#init.onEnd(this);
    for (const delivery of lost) this.#init.options.onLost?.(delivery);
    if (open.tag === undefined) return;
    // When the connection is lost its channels close first, and the link opens another session.
    queueMicrotask(() => {
      const session = this.#session;
      if (session !== undefined && !session.ended) void this.resubscribe(session);
    });
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    if (this.#open === undefined) this.#init.onEnd(this);
    else if (this.#open.tag !== undefined) this.#stop(this.#open);
  }

  /** Brokers requeue what a closed channel has not settled, and only then is another consumer active. */
  giveUp(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    const open = this.#open;
    if (open === undefined) this.#init.onEnd(this);
    else if (open.tag !== undefined) open.closing = closeChannel(open.channel);
  }

  /** What was delivered can still be settled, so the channel closes after that. */
  #stop(open: Open): void {
    open.channel.cancel(open.tag as string).then(() => closeWhenSettled(open), ignoreClosed);
  }

  /** Resolves when the broker has taken note of everything settled before. */
  async flush(): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    // Any method would do: a channel answers in order.
    await (open.closing ?? open.channel.prefetch(this.#init.options.prefetchCount).catch(ignoreClosed));
  }
}

function closeWhenSettled(open: Open): void {
  open.unsettled.whenEmpty(() => {
    open.closing = closeChannel(open.channel);
  });
}

/** A channel that is closed has nothing to stop, nor anything on its way. */
function ignoreClosed(): void {}
