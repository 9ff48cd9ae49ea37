import type { Broker } from './broker.js';
import { BINDING_KEYS, idOf } from './broker-model.spec.support.js';
import type { Connection } from './connection.js';
import { BrokerError } from './errors.js';
import type { Delivery } from './queue/delivery.js';
import { turns } from './simulating.spec.support.js';
import type { ExchangeOptions } from './exchanges.js';

export const QUEUES = ['q1', 'q2', 'q3', 'q4'] as const;
export const EXCHANGES = ['x', 'y', 'amq.topic'] as const;

export interface FoundQueue {
  readonly autoDelete: boolean;
  /** In the order in which they come. */
  readonly deliveries: readonly Delivery[];
}

export interface FoundExchange {
  readonly options: ExchangeOptions;
  /** By binding key, the names of the queues that a message with this key as its routing key went to. */
  readonly routes: Map<string, string[]>;
}

/** What a client can find out about the engine. */
export interface Found {
  readonly queues: Map<string, FoundQueue>;
  readonly exchanges: Map<string, FoundExchange>;
}

/** So many rounds of the event loop are enough for all that a queue has, or it stands still. */
const ROUNDS_MAX = 400;
const PROBE = 'probe';

/**
 * Looks into the engine as a client does: sends a message along each binding, takes all messages out of all queues, and gives
 * them back. Other consumers must be gone. Nothing durable is changed, but queues that live by their consumers go.
 */
export async function inspect(
  broker: Broker,
  optionsOf: (exchange: string) => readonly ExchangeOptions[],
): Promise<Found> {
  const connection = broker.connect();
  const exchanges = new Map<string, FoundExchange>();
  for (const name of EXCHANGES) {
    if (!probe(connection, name)) continue;
    const options = await firstThatFits(optionsOf(name), (one) => connection.declareExchange(name, one));
    if (options === undefined) throw new Error(`the exchange '${name}' is not as it was declared`);
    exchanges.set(name, { options, routes: new Map(BINDING_KEYS.map((key) => [key, []])) });
  }
  const queues = new Map<string, FoundQueue>();
  for (const name of QUEUES) {
    const found = await take(connection, name);
    if (found !== undefined) queues.set(name, separate(name, found, exchanges));
  }
  connection.close();
  return { queues, exchanges };
}

/** False: there is no such exchange. */
function probe(connection: Connection, exchange: string): boolean {
  try {
    for (const routingKey of BINDING_KEYS) {
      connection.publish({
        exchange,
        routingKey,
        properties: { messageId: PROBE },
        body: Buffer.alloc(0),
      });
    }
    return true;
  } catch (error) {
    if (isRefusal(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

/** Undefined: there is no such queue. */
async function take(connection: Connection, name: string): Promise<FoundQueue | undefined> {
  const count = readyCount(connection, name);
  if (count === undefined) return undefined;
  const autoDelete = await firstThatFits([false, true], (one) =>
    connection.declareQueue(name, { autoDelete: one, durable: !isTransient(name) }),
  );
  if (autoDelete === undefined) throw new Error(`the queue '${name}' is not as it was declared`);
  const deliveries: Delivery[] = [];
  const consumer = connection.consume(name, { onDelivery: (delivery) => deliveries.push(delivery) });
  for (let rounds = 0; deliveries.length < count && rounds < ROUNDS_MAX; rounds++) await turns(0, 1);
  if (deliveries.length !== count)
    throw new Error(`'${name}' has ${count} messages ready, and ${deliveries.length} came`);
  connection.cancel(consumer);
  return { autoDelete, deliveries };
}

/** Whether a queue is transient can be told by its name, so that it need not be guessed. */
export function isTransient(queueName: string): boolean {
  return queueName === 'q4';
}

export function readyCount(connection: Connection, name: string): number | undefined {
  try {
    return connection.checkQueue(name).messageCount;
  } catch (error) {
    if (isRefusal(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

async function firstThatFits<T>(
  candidates: readonly T[],
  declare: (one: T) => Promise<unknown>,
): Promise<T | undefined> {
  for (const candidate of candidates) {
    try {
      await declare(candidate);
      return candidate;
    } catch (error) {
      if (!isRefusal(error, 'PRECONDITION_FAILED')) throw error;
    }
  }
  return undefined;
}

/** The probes are taken out of the queue, and say which bindings it has. */
function separate(
  name: string,
  { autoDelete, deliveries }: FoundQueue,
  exchanges: Map<string, FoundExchange>,
): FoundQueue {
  const rest: Delivery[] = [];
  for (const delivery of deliveries) {
    const { message } = delivery;
    if (idOf(message) !== PROBE) rest.push(delivery);
    else {
      if (delivery.redelivered || delivery.deliveryCount > 0) throw new Error('a new message is redelivered');
      exchanges.get(message.exchange)?.routes.get(message.routingKey)?.push(name);
      delivery.ack();
    }
  }
  return { autoDelete, deliveries: rest };
}

export function isRefusal(error: unknown, code: BrokerError['code']): boolean {
  return error instanceof BrokerError && error.code === code;
}
