import { describeError } from '../describe-error.js';
import type { Message } from '@nestmq/broker';
import type { Link, LinkDelivery } from '../links/link.js';
import { replyMessages } from '../wire/replies.js';
import type { WireFormat } from '../wire/wire-options.js';
import type { Wire } from '../wire/wire.js';

/** One of Nest's replies: values, then an error or the end. */
export interface Reply {
  readonly response?: unknown;
  readonly err?: unknown;
  readonly isDisposed?: boolean;
}

export interface RepliesInit {
  readonly link: () => Link;
  readonly wire: Wire;
  /** What went wrong beside the reply itself. */
  readonly report: (error: unknown) => void;
}

/** Answers to one request, in their order. */
export class Replies {
  readonly #init: RepliesInit;
  readonly #delivery: LinkDelivery;
  readonly #format: WireFormat;
  /** Set while one is being encoded: those after it wait. */
  #before: Promise<void> | undefined;
  #ended = false;

  /** `format`: how the caller reads. */
  constructor(init: RepliesInit, delivery: LinkDelivery, format: WireFormat) {
    this.#init = init;
    this.#delivery = delivery;
    this.#format = format;
  }

  /** Resolves when it is on its way. Never rejects. */
  send(reply: Reply): Promise<void> | void {
    if (this.#delivery.message.properties.replyTo === undefined) return undefined;
    if (this.#before === undefined) {
      const sent = this.#sendOne(reply);
      if (sent === undefined) return undefined;
      return this.#waitFor(sent);
    }
    return this.#waitFor(this.#before.then(() => this.#sendOne(reply)));
  }

  #waitFor(sent: Promise<void>): Promise<void> {
    const before: Promise<void> = sent.finally(() => {
      if (this.#before === before) this.#before = undefined;
    });
    this.#before = before;
    return before;
  }

  #sendOne(reply: Reply): Promise<void> | void {
    if (this.#ended) return undefined;
    try {
      const messages = this.#messages(reply);
      if (!(messages instanceof Promise)) return this.#publish(messages);
      return messages
        .then((ready) => this.#publish(ready))
        .catch(async (error: unknown) => this.#sendFailure(error));
    } catch (error) {
      return this.#sendFailure(error);
    }
  }

  #messages(reply: Reply): readonly Message[] | Promise<readonly Message[]> {
    return replyMessages(this.#delivery.message, this.#format, reply, this.#init.wire);
  }

  /** What can't be sent (a cycle, a BigInt, too much) must not leave the caller waiting. */
  async #sendFailure(error: unknown): Promise<void> {
    this.#init.report(error);
    this.#ended = true;
    const message = `The answer can't be sent: ${describeError(error)}`;
    try {
      this.#publish(await this.#messages({ err: { status: 'error', message } }));
    } catch (failure) {
      this.#init.report(failure);
    }
  }

  /** A caller who has left is nobody's loss: unroutable is as good as delivered. */
  #publish(messages: readonly Message[]): void {
    const onDurable = (error?: Error): void => {
      if (error !== undefined) this.#init.report(error);
    };
    for (const message of messages) this.#init.link().publish(message, onDurable, { settles: true });
  }
}
