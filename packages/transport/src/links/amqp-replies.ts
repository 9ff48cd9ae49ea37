import { randomUUID } from 'node:crypto';
import { amqpError } from './amqp-errors.js';
import { messageFrom } from './amqp-message.js';
import type { AmqpSession } from './amqp-session.js';
import type { ReplyOptions, ReplySubscription } from './link.js';

/** Where answers come in: an exclusive queue, another one in each session, since it is gone with the connection. */
export class AmqpReplies implements ReplySubscription {
  readonly #options: ReplyOptions;
  readonly #onEnd: (replies: AmqpReplies) => void;
  #address = '';
  #stop: () => void = () => {};
  #cancelled = false;

  constructor(options: ReplyOptions, onEnd: (replies: AmqpReplies) => void) {
    this.#options = options;
    this.#onEnd = onEnd;
  }

  get address(): string {
    return this.#address;
  }

  /** Rejects with AmqpError. */
  async subscribe(session: AmqpSession): Promise<void> {
    const address = `nestmq.replies.${randomUUID()}`;
    try {
      const channel = await session.openChannel();
      // Whoever waits for it is told by the promise; later only the end of the connection closes it.
      channel.on('error', () => {});
      await channel.assertQueue(address, { durable: false, exclusive: true, autoDelete: true });
      await channel.consume(
        address,
        (raw) => {
          if (raw !== null && !this.#cancelled) this.#options.onReply(messageFrom(raw));
        },
        { noAck: true, exclusive: true },
      );
      this.#address = address;
      this.#stop = () => {
        channel.close().catch(() => {
          // Closed with its connection.
        });
      };
    } catch (error) {
      throw amqpError(error);
    }
    if (this.#cancelled) this.#stop();
  }

  onLost(error: Error): void {
    if (!this.#cancelled) this.#options.onLost(error);
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#onEnd(this);
    this.#stop();
  }
}
