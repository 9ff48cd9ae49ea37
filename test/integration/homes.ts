import { afterAll } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Message } from '@nestmq/broker';
import type { Link, QueueServer } from '@nestmq/transport';
import { TestBroker } from '@nestmq/testing';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { temporaryDirectory } from './app.js';

/** Where the messages of a test live. */
export interface Home {
  /** For `QueueModule.forRoot({ url })`. Each home is apart from all others. */
  readonly url: string;
  /** When everything on it is closed. */
  remove(): Promise<void>;
}

/**
 * With NESTMQ_TEST_RABBITMQ=true a RabbitMQ is a home as well, with a vhost for each test. It takes two minutes more, so it is not
 * by default; the contract of links runs on one always.
 */
async function rabbitMqHome(): Promise<typeof HOMES> {
  if (process.env['NESTMQ_TEST_RABBITMQ'] !== 'true') return [];
  const rabbit = await startRabbitMq();
  if (rabbit === undefined) return [];
  afterAll(() => rabbit.stop());
  const make = async (): Promise<Home> => {
    const vhost = randomUUID();
    rabbit.ctl('add_vhost', vhost);
    rabbit.ctl('set_permissions', '-p', vhost, 'guest', '.*', '.*', '.*');
    return { url: `${rabbit.url}/${vhost}`, remove: async () => undefined };
  };
  return [['RabbitMQ', make]];
}

/** What a user chooses by URL alone: what is tested for one must hold for all. */
export const HOMES: readonly (readonly [scheme: string, make: () => Promise<Home>])[] = [
  ['memory:', async () => ({ url: `memory:${randomUUID()}`, remove: async () => undefined })],
  [
    'amqp:',
    async () => {
      const broker = await TestBroker.start({ listen: true });
      return { url: broker.amqpUrl, remove: () => broker.stop() };
    },
  ],
  [
    'file:',
    async () => {
      const { path, remove } = temporaryDirectory();
      return { url: `file:${path}/mq`, remove: async () => remove() };
    },
  ],
  ...(await rabbitMqHome()),
];

export interface Letter {
  readonly data: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Takes messages out of a queue that no handler consumes, in order, waiting for those that are still to come. */
export async function take(server: QueueServer, queue: string, count: number): Promise<Letter[]> {
  const letters: Letter[] = [];
  let onEnough!: () => void;
  const enough = new Promise<void>((resolve) => {
    onEnough = resolve;
  });
  const subscription = await server.unwrap<Link>().consume(queue, {
    prefetchCount: 1,
    noAck: false,
    onCancel: () => {},
    onDelivery: (delivery) => {
      if (letters.length === count) return delivery.requeue({ failed: false });
      letters.push(letterOf(delivery.message));
      delivery.ack();
      return letters.length === count ? onEnough() : undefined;
    },
  });
  await enough;
  subscription.cancel();
  return letters;
}

function letterOf({ body, properties }: Message): Letter {
  return { data: JSON.parse(body.toString('utf8')), headers: properties.headers ?? {} };
}

/** Messages that wait in a queue; 0 when there is no such queue. */
export async function depth(server: QueueServer, queue: string): Promise<number> {
  return (await server.unwrap<Link>().queueState(queue))?.ready ?? 0;
}
