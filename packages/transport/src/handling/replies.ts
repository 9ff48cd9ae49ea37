import { describeError } from '../describe-error.js';
import { REPLY, replyMessage } from '../envelope.js';
import type { Link, LinkDelivery } from '../links/link.js';
import { encodeError } from '../wire/errors.js';
import type { Encoded, Wire } from '../wire/wire.js';

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
  /** Set while one is being encoded: those after it wait. */
  #before: Promise<void> | undefined;
  #ended = false;

  constructor(init: RepliesInit, delivery: LinkDelivery) {
    this.#init = init;
    this.#delivery = delivery;
  }

  /** Resolves when it is on its way. Never rejects. */
  send(reply: Reply): Promise<void> | void {
    const { replyTo } = this.#delivery.message.properties;
    if (replyTo === undefined) return undefined;
    if (this.#before === undefined) {
      const sent = this.#sendOne(replyTo, reply);
      if (sent === undefined) return undefined;
      return this.#waitFor(sent);
    }
    return this.#waitFor(this.#before.then(() => this.#sendOne(replyTo, reply)));
  }

  #waitFor(sent: Promise<void>): Promise<void> {
    const before: Promise<void> = sent.finally(() => {
      if (this.#before === before) this.#before = undefined;
    });
    this.#before = before;
    return before;
  }

  #sendOne(replyTo: string, reply: Reply): Promise<void> | void {
    if (this.#ended) return undefined;
    const [type, data] = typeAndData(reply);
    try {
      const encoded = this.#init.wire.encode(data);
      if (!(encoded instanceof Promise)) return this.#publish(replyTo, type, encoded);
      return encoded
        .then((ready) => this.#publish(replyTo, type, ready))
        .catch((error: unknown) => this.#sendFailure(replyTo, error));
    } catch (error) {
      return this.#sendFailure(replyTo, error);
    }
  }

  /** What can't be sent (a cycle, a BigInt, too much) must not leave the caller waiting. */
  #sendFailure(replyTo: string, error: unknown): void {
    this.#init.report(error);
    this.#ended = true;
    const text = `The answer can't be sent: ${describeError(error)}`;
    const body = Buffer.from(JSON.stringify({ status: 'error', message: text }));
    try {
      this.#publish(replyTo, REPLY.error, { body, properties: { contentType: 'application/json' } });
    } catch (failure) {
      this.#init.report(failure);
    }
  }

  /** A caller who has left is nobody's loss: unroutable is as good as delivered. */
  #publish(replyTo: string, type: string, encoded: Encoded): void {
    const { correlationId } = this.#delivery.message.properties;
    const onDurable = (error?: Error): void => {
      if (error !== undefined) this.#init.report(error);
    };
    const message = replyMessage(replyTo, correlationId, type, encoded);
    this.#init.link().publish(message, onDurable, { settles: true });
  }
}

function typeAndData(reply: Reply): [type: string, data: unknown] {
  if (reply.err !== undefined) return [REPLY.error, encodeError(reply.err)];
  if (reply.isDisposed !== true) return [REPLY.value, reply.response];
  return reply.response === undefined ? [REPLY.end, undefined] : [REPLY.last, reply.response];
}
