import { AmqplibClient } from './amqplib-client.js';
import { CloudAmqpClient } from './cloudamqp-client.js';
import { ConnectionManagerClient } from './connection-manager-client.js';
import { secondsOf } from './figure.js';
import { RabbitMqClient } from './rabbitmq-client-client.js';
import { RawConnection } from './raw-amqp.js';

export interface LoadClient {
  /** Durable; of the server's own type unless one is given. */
  declare(queue: string, type?: string): Promise<void>;
  delete(queue: string): Promise<void>;
  /** Resolves when so many persistent messages are published and confirmed, with so many unconfirmed at once. */
  publish(queue: string, bodyBytes: number, count: number, inFlight: number): Promise<void>;
  /** Acks each delivery, and says how many there were of late. */
  consume(queue: string, prefetch: number, onDeliveries: (count: number) => void): Promise<void>;
  /** Resolves when the server has handled all that it was sent. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** By the names of their packages, but for the one that sends prepared frames. */
const CLIENTS = {
  raw: RawConnection,
  amqplib: AmqplibClient,
  'amqp-connection-manager': ConnectionManagerClient,
  'rabbitmq-client': RabbitMqClient,
  '@cloudamqp/amqp-client': CloudAmqpClient,
} satisfies Record<string, { open(port: number): Promise<LoadClient> }>;

export type LoadKind = 'publish' | 'consume' | 'both';

export interface Load {
  readonly client: keyof typeof CLIENTS;
  readonly port: number;
  /** The queues' `x-queue-type`, if not the server's own. */
  readonly queueType?: string | undefined;
  readonly kind: LoadKind;
  readonly bodyBytes: number;
  /** So many publish, or consume; or so many do the one, and so many the other. Each ten share a queue. */
  readonly connections: number;
  readonly messages: number;
}

/** Of all connections together. */
const IN_FLIGHT = 1000;
const IN_FLIGHT_MIN = 20;
const CONNECTIONS_PER_QUEUE = 10;

/** Puts the load on a server; resolves with the seconds that took, connecting and declaring not counted. */
export async function putLoad(load: Load): Promise<number> {
  const { client, port, connections, kind } = load;
  const queues = Array.from(
    { length: Math.ceil(connections / CONNECTIONS_PER_QUEUE) },
    (_, i) => `load.${i}`,
  );
  const opened = Array.from({ length: kind === 'both' ? connections * 2 : connections }, () =>
    CLIENTS[client].open(port),
  );
  const clients = await Promise.all(opened);
  const first = clients[0] as LoadClient;
  for (const queue of queues) await first.declare(queue, load.queueType);
  const queueOf = (at: number): string => queues[at % queues.length] as string;
  const publishers = clients.slice(0, connections);
  if (kind === 'consume') await publishAll(load, publishers, queueOf);
  const seconds = await secondsOf(async () => {
    const consumers = kind === 'both' ? clients.slice(connections) : publishers;
    const published = kind === 'consume' ? undefined : publishAll(load, publishers, queueOf);
    const consumed = kind === 'publish' ? undefined : consumeAll(load, consumers, queueOf);
    await Promise.all([published, consumed]);
  });
  for (const queue of queues) await first.delete(queue);
  for (const one of clients) await one.close();
  return seconds;
}

async function publishAll(
  { messages, bodyBytes, connections }: Load,
  clients: readonly LoadClient[],
  queueOf: (at: number) => string,
): Promise<void> {
  const inFlight = Math.max(IN_FLIGHT_MIN, Math.floor(IN_FLIGHT / connections));
  await Promise.all(
    clients.map((client, i) =>
      client.publish(queueOf(i), bodyBytes, shareOf(messages, connections, i), inFlight),
    ),
  );
}

async function consumeAll(
  { messages, connections }: Load,
  clients: readonly LoadClient[],
  queueOf: (at: number) => string,
): Promise<void> {
  const prefetch = Math.max(IN_FLIGHT_MIN, Math.floor(IN_FLIGHT / connections));
  await new Promise<void>((resolve, reject) => {
    let left = messages;
    const onDeliveries = (count: number): void => {
      left -= count;
      if (left === 0) resolve();
    };
    const consuming = clients.map((client, i) => client.consume(queueOf(i), prefetch, onDeliveries));
    Promise.all(consuming).catch(reject);
  });
  await Promise.all(clients.map((client) => client.settled()));
}

/** The shares are whole, and together they are all. */
function shareOf(messages: number, connections: number, at: number): number {
  return Math.floor((messages * (at + 1)) / connections) - Math.floor((messages * at) / connections);
}
