import type { Clock, FieldTable, Message } from '@nestmq/broker';
import { HEADER } from '../envelope.js';
import { QueueUnavailableException } from '../queue.exceptions.js';
import type { AmqpPublishOptions } from './amqp-confirms.js';
import { SINK_QUEUE } from './given-up.js';
import type { PublishCallback } from './link.js';

/**
 * What is delayed waits in queues whose time to live is the delay, and whose dead letters go where it was to go. Any delay
 * is rounded down to one of these, so that there are few such queues; the rest is waited for by who gets the message.
 * Milliseconds.
 */
export const DELAYS_MS: readonly number[] = [
  50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
  3_600_000, 7_200_000, 21_600_000, 43_200_000,
];

/**
 * A wait queue that nobody has used for so much longer than its delay is removed. It has to be much longer than a message
 * can be held up in it, as by a queue without a majority of its nodes.
 */
const UNUSED_MS_MAX = 24 * 3_600_000;
/** A wait queue is declared anew, which counts as used, when that was so long ago. */
const LEASE_MS = 3_600_000;

const DUE_SUFFIX = '.due';
/** Without `x-`: a headers exchange passes over names that have it. */
const WAIT = 'nestmq-wait';

/** What the wait queues of a broker need of it. */
export interface DelayTopology {
  declareQueue(name: string, args: FieldTable): Promise<void>;
  declareExchange(name: string, type: 'fanout' | 'headers'): Promise<void>;
  bindExchange(destination: string, source: string): Promise<void>;
  bindQueue(queue: string, exchange: string, args: FieldTable): Promise<void>;
  /** Rejects when there is none. */
  assertQueue(name: string): Promise<void>;
}

type Publish = (message: Message, done: PublishCallback, options: AmqpPublishOptions) => void;

export interface DelaysInit {
  readonly topology: DelayTopology;
  readonly publish: Publish;
  readonly clock: Clock;
  readonly queueType: 'quorum' | 'classic';
  /** More messages than this do not wait for their wait queues to be declared. */
  readonly maxWaiting: number;
}

/** The longest of {@link DELAYS_MS} within a delay; the shortest for what is shorter still. */
export function roundedDelayMs(delayMs: number): number {
  return DELAYS_MS.findLast((one) => one <= delayMs) ?? (DELAYS_MS[0] as number);
}

/** The exchange that a message was published to, before it waited. */
export function originOf(exchange: string, headers: FieldTable | undefined): string {
  return headers?.[WAIT] !== undefined && exchange.endsWith(DUE_SUFFIX)
    ? exchange.slice(0, -DUE_SUFFIX.length)
    : exchange;
}

/** Publishes messages that come to their queues later. */
export class AmqpDelays {
  readonly #init: DelaysInit;
  /** When each wait queue was declared; a promise while that goes on. */
  readonly #declared = new Map<string, number | Promise<void>>();
  #undeclared = 0;

  constructor(init: DelaysInit) {
    this.#init = init;
  }

  /** As {@link Link.publish}; `done` is called with what goes wrong in declaring the wait queue, too. */
  publish(message: Message, delayMs: number, done: PublishCallback, options: AmqpPublishOptions): void {
    const { maxWaiting } = this.#init;
    if (this.#undeclared >= maxWaiting && options.settles !== true)
      throw new QueueUnavailableException(
        `${maxWaiting} delayed publishes wait for their wait queues already.`,
      );
    const waitMs = roundedDelayMs(delayMs);
    const { exchange, routingKey } = message;
    const queue = waitQueueOf(exchange === '' ? routingKey : exchange, waitMs);
    const headers = headersOf(message, waitMs, this.#init.clock.now() + delayMs);
    const place =
      exchange === ''
        ? { exchange: '', routingKey: queue }
        : { exchange: waitExchangeOf(exchange), routingKey };
    const { expiration: _early, ...properties } = message.properties;
    const waiting: Message = { ...place, properties: { ...properties, headers }, body: message.body };
    const publish = (onDone: PublishCallback): void => {
      this.#undeclared++;
      this.#ready(queue, message, waitMs)
        .finally(() => this.#undeclared--)
        .then(() => this.#init.publish(waiting, onDone, options))
        .catch(onDone);
    };
    publish((error, unroutable) => {
      if (unroutable !== true) return done(error);
      // Somebody has deleted the wait queue.
      this.#declared.delete(queue);
      return publish(done);
    });
  }

  async #ready(queue: string, { exchange, routingKey }: Message, waitMs: number): Promise<void> {
    const declared = this.#declared.get(queue);
    if (declared instanceof Promise) return declared;
    if (declared !== undefined && this.#init.clock.now() - declared < LEASE_MS) return undefined;
    const declaring =
      exchange === '' ? this.#declareBefore(routingKey, waitMs) : this.#declareFor(exchange, waitMs);
    this.#declared.set(queue, declaring);
    try {
      await declaring;
      this.#declared.set(queue, this.#init.clock.now());
    } catch (error) {
      this.#declared.delete(queue);
      throw error;
    }
    return undefined;
  }

  /** Each queue has wait queues of its own: what waits for one that is gone or stuck holds up no other. */
  async #declareBefore(queue: string, waitMs: number): Promise<void> {
    const { topology } = this.#init;
    await topology.assertQueue(queue);
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue };
    await topology.declareQueue(waitQueueOf(queue, waitMs), this.#argumentsOf(waitMs, args));
  }

  /** Routing keys must come through, so what waits is told apart by a header, and leaves to a fanout exchange. */
  async #declareFor(exchange: string, waitMs: number): Promise<void> {
    const { topology, queueType } = this.#init;
    const [waiting, due] = [waitExchangeOf(exchange), exchange + DUE_SUFFIX];
    await topology.declareExchange(waiting, 'headers');
    await topology.declareExchange(due, 'fanout');
    await topology.bindExchange(exchange, due);
    await topology.declareQueue(SINK_QUEUE, { 'x-queue-type': queueType, 'x-message-ttl': 0 });
    await topology.bindQueue(SINK_QUEUE, due, {});
    const queue = waitQueueOf(exchange, waitMs);
    await topology.declareQueue(queue, this.#argumentsOf(waitMs, { 'x-dead-letter-exchange': due }));
    await topology.bindQueue(queue, waiting, { 'x-match': 'all', [WAIT]: waitMs });
  }

  #argumentsOf(waitMs: number, deadLetters: FieldTable): FieldTable {
    const { queueType } = this.#init;
    // Only quorum queues keep what they dead-letter until it has arrived.
    const safely = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };
    return {
      'x-queue-type': queueType,
      'x-message-ttl': waitMs,
      'x-expires': waitMs + UNUSED_MS_MAX,
      ...deadLetters,
      ...(queueType === 'quorum' ? safely : {}),
    };
  }
}

const waitExchangeOf = (exchange: string): string => `${exchange}.wait`;
const waitQueueOf = (name: string, waitMs: number): string => `${name}.wait.${waitMs}`;

/** What brokers noted when it was dead-lettered before is dropped: they take a message that comes by again for a cycle. */
function headersOf({ properties }: Message, waitMs: number, dueAt: number): FieldTable {
  const kept = Object.entries(properties.headers ?? {}).filter(
    ([name]) => name !== 'x-death' && !name.startsWith('x-first-death-') && !name.startsWith('x-last-death-'),
  );
  return { ...Object.fromEntries(kept), [HEADER.dueAt]: dueAt, [WAIT]: waitMs };
}
