import { BrokerError } from '../errors.js';
import { hasField } from '../message/encoded-properties.js';
import { EncodedMessage } from '../message/encoded-message.js';
import type { Message } from '../message/message.js';
import type { PublishOutcome } from '../vhost.js';
import { AmqpError, notImplemented } from './amqp-error.js';
import type { ChannelHost } from './channel-host.js';
import { Confirms } from './confirms.js';
import type { Content } from './content.js';
import { REPLY_CODE } from './protocol.js';
import { DIRECT_REPLY_TO } from './topology.js';
import type { Transaction } from './transaction.js';

/** A channel's `basic.publish`, with confirms, returns, and transactions. */
export class Publishing {
  readonly #channel: number;
  readonly #host: ChannelHost;
  readonly #transaction: Transaction;
  #confirms: Confirms | undefined;

  constructor(channel: number, host: ChannelHost, transaction: Transaction) {
    this.#channel = channel;
    this.#host = host;
    this.#transaction = transaction;
  }

  get isConfirming(): boolean {
    return this.#confirms !== undefined;
  }

  /** From the next publish on. Idempotent. */
  confirm(): void {
    this.#confirms ??= new Confirms(this.#channel, this.#host.outbox);
  }

  /** No more confirms. */
  close(): void {
    this.#confirms?.close();
  }

  /** Returns a promise when publishing is blocked and has to wait. */
  publish({ method, propertiesBytes, places, body }: Content): Promise<void> | void {
    const { engine, user, access } = this.#host;
    const { exchange, routingKey, mandatory, immediate } = method;
    if (immediate) throw new AmqpError('NOT_IMPLEMENTED', 'immediate=true');
    const message = new EncodedMessage(exchange, routingKey, propertiesBytes, body);
    access.write('exchange', exchange);
    if (access.restrictsTopics(exchange) && engine.exchangeType(exchange) === 'topic')
      access.topic('write', exchange, routingKey);
    if (places.userIdAt >= 0 && !access.mayImpersonate)
      checkUser(shortStringAt(propertiesBytes, places.userIdAt), user);
    if (places.expirationAt >= 0) refuseExpiration(shortStringAt(propertiesBytes, places.expirationAt));
    if (places.replyToAt >= 0) refuseReplyTo(shortStringAt(propertiesBytes, places.replyToAt));
    if (places.headersAt >= 0) refuseCopies(propertiesBytes, places.headersAt, places.headersEnd);
    if (this.#transaction.isSelected) {
      engine.checkRoute(exchange);
      this.#transaction.publish(message, mandatory);
      return undefined;
    }
    if (engine.blocked === undefined) return this.#publish(message, mandatory);
    return this.#publishWhenOpen(message, mandatory);
  }

  async #publishWhenOpen(message: Message, mandatory: boolean): Promise<void> {
    // It may be blocked again before it was this one's turn.
    while (this.#host.engine.blocked !== undefined) await this.#host.unblocked();
    this.#publish(message, mandatory);
  }

  #publish(message: Message, mandatory: boolean): void {
    const outcome = this.#store(message);
    if (outcome === 'unroutable' && mandatory) this.returnUnroutable(message);
    this.#host.published(message.body.length + message.routingKey.length);
  }

  #store(message: Message): PublishOutcome | undefined {
    const { engine } = this.#host;
    const confirms = this.#confirms;
    if (confirms === undefined) return engine.publish(message);
    const tag = confirms.nextTag();
    try {
      const outcome = engine.publish(message, confirms.onDurable);
      confirms.wait(tag);
      return outcome;
    } catch (error) {
      if (!(error instanceof BrokerError && error.code === 'STORE_FAILED')) throw error;
      confirms.nack(tag);
      return undefined;
    }
  }

  returnUnroutable(message: Message): void {
    const { exchange, routingKey } = message;
    const reply = { replyCode: REPLY_CODE.NO_ROUTE, replyText: 'NO_ROUTE' };
    this.#host.outbox.content(
      this.#channel,
      { name: 'basic.return', ...reply, exchange, routingKey },
      message,
    );
  }
}

function shortStringAt(bytes: Buffer, at: number): string {
  return bytes.toString('utf8', at + 1, at + 1 + (bytes[at] as number));
}

function checkUser(userId: string, user: string): void {
  if (userId === user) return;
  throw new AmqpError(
    'PRECONDITION_FAILED',
    `user_id property set to '${userId}' but authenticated user was '${user}'`,
  );
}

function refuseExpiration(expiration: string): void {
  const why = /^-\d+$/.test(expiration) ? `{value_negative,${expiration}}` : 'no_integer';
  if (!/^\d+$/.test(expiration)) {
    throw new AmqpError('PRECONDITION_FAILED', `invalid expiration '${expiration}': ${why}`);
  }
  throw notImplemented('expiration of messages is');
}

function refuseReplyTo(replyTo: string): void {
  if (replyTo.startsWith(DIRECT_REPLY_TO)) throw notImplemented('direct reply-to is');
}

function refuseCopies(bytes: Buffer, at: number, end: number): void {
  for (const name of ['CC', 'BCC'])
    if (hasField(bytes, at, end, name)) throw notImplemented(`header ${name} is`);
}
