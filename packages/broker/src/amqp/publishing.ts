import { BrokerError } from '../errors.js';
import { copyKeysOf, withoutBcc } from '../message/copy-keys.js';
import { type PropertyPlaces, withShortString } from '../message/encoded-properties.js';
import { EncodedEnvelope, EncodedMessage } from '../message/encoded-message.js';
import { expirationMs } from '../message/expiration.js';
import { contentBytesOf, type Message } from '../message/message.js';
import { REPLY_TO } from '../reply-consumers.js';
import type { PublishOutcome } from '../message-way.js';
import type { Access } from './access.js';
import { AmqpError } from './amqp-error.js';
import type { ChannelHost } from './channel-host.js';
import { Confirms } from './confirms.js';
import type { Content } from './content.js';
import { REPLY_CODE } from './protocol.js';
import type { Transaction } from './transaction.js';

/** A channel's `basic.publish`, with confirms, returns, and transactions. */
export class Publishing {
  readonly #channel: number;
  readonly #host: ChannelHost;
  readonly #transaction: Transaction;
  /** Where replies to this channel go, if it takes any. */
  readonly #replyName: () => string | undefined;
  #confirms: Confirms | undefined;

  constructor(
    channel: number,
    host: ChannelHost,
    transaction: Transaction,
    replyName: () => string | undefined,
  ) {
    this.#replyName = replyName;
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
    access.write('exchange', exchange);
    if (access.restrictsTopics(exchange) && engine.exchangeType(exchange) === 'topic')
      checkTopics(access, new EncodedEnvelope(exchange, routingKey, propertiesBytes));
    if (places.userIdAt >= 0 && !access.mayImpersonate)
      checkUser(shortStringAt(propertiesBytes, places.userIdAt), user);
    if (places.expirationAt >= 0) expirationMs(shortStringAt(propertiesBytes, places.expirationAt));
    const properties =
      places.replyToAt < 0 ? propertiesBytes : this.#withReplyName(exchange, propertiesBytes, places);
    const message = new EncodedMessage(exchange, routingKey, properties, body);
    if (this.#transaction.isSelected) {
      // Where it goes is decided now, and what is wrong with it refused, and not with the commit.
      this.#transaction.publish(message, { mandatory, queues: engine.prepare(message) });
      return undefined;
    }
    if (engine.blocked === undefined) return this.#publish(message, mandatory);
    return this.#publishWhenOpen(message, mandatory);
  }

  /** Who answers is told the requester's own name in place of the one that stands for it. */
  #withReplyName(exchange: string, properties: Buffer, { replyToAt }: PropertyPlaces): Buffer {
    if (shortStringAt(properties, replyToAt) !== REPLY_TO) return properties;
    const name = this.#replyName();
    if (name === undefined) {
      this.#host.engine.checkRoute(exchange);
      throw new AmqpError('PRECONDITION_FAILED', 'fast reply consumer does not exist');
    }
    return withShortString(properties, replyToAt, name);
  }

  async #publishWhenOpen(message: Message, mandatory: boolean): Promise<void> {
    // It may be blocked again before it was this one's turn.
    while (this.#host.engine.blocked !== undefined) await this.#host.unblocked();
    this.#publish(message, mandatory);
  }

  #publish(message: Message, mandatory: boolean): void {
    const outcome = this.#store(message);
    if (outcome === 'unroutable' && mandatory) this.returnUnroutable(message);
    this.#host.published(contentBytesOf(message) + message.routingKey.length);
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
    const returned = withoutBcc(message);
    const reply = { replyCode: REPLY_CODE.NO_ROUTE, replyText: 'NO_ROUTE' };
    this.#host.outbox.content(
      this.#channel,
      { name: 'basic.return', ...reply, exchange, routingKey },
      returned,
    );
  }
}

function shortStringAt(bytes: Buffer, at: number): string {
  return bytes.toString('utf8', at + 1, at + 1 + (bytes[at] as number));
}

/** Of each key that it goes by: a copy is a message too. */
function checkTopics(access: Access, envelope: EncodedEnvelope): void {
  const { exchange, routingKey } = envelope;
  for (const key of [routingKey, ...(copyKeysOf(envelope) ?? [])]) access.topic('write', exchange, key);
}

function checkUser(userId: string, user: string): void {
  if (userId === user) return;
  throw new AmqpError(
    'PRECONDITION_FAILED',
    `user_id property set to '${userId}' but authenticated user was '${user}'`,
  );
}
