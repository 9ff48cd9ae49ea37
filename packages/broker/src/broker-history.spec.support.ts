import { EXCHANGES, isTransient, QUEUES } from './broker-inspection.spec.support.js';
import type { Held, Life } from './broker-life.spec.support.js';
import { BINDING_KEYS, idOf, ROUTING_KEYS } from './broker-model.spec.support.js';
import type { Connection } from './connection.js';
import type { Message, MessageProperties } from './message/message.js';
import { pick, pickOne } from './random.spec.support.js';

/** How a history treats its messages. */
export interface Habits {
  /** Bodies have up to so many bytes, most of them far fewer. */
  readonly bodyBytesMax: number;
  /** Share of settlements that take the oldest delivery: with few of them, some messages are stuck while others go by. */
  readonly oldestFirst: number;
  /** Share of consumers that settle with the delivery: much goes by. */
  readonly withoutAck: number;
  /** Share of operations that are publishes. */
  readonly publishing: number;
}

const CONNECTIONS_MAX = 3;
const CONSUMERS_MAX = 5;

type Act = (life: Life, random: () => number, habits: Habits) => void;

/** What a history does, and how often. */
const ACTS: readonly (readonly [weight: number, act: Act])[] = [
  [70, settle],
  [3, consume],
  [2, cancel],
  [1.5, closeConnection],
  [1.5, purge],
  [5, declareQueue],
  [1.5, deleteQueue],
  [3, declareExchange],
  [1, deleteExchange],
  [7, bind],
  [2, unbind],
  [9, (life, random) => life.awaitDurable(connection(life, random))],
  [5, (life) => life.checkCounts()],
  [6, count],
];
const DEFINING: typeof ACTS = [
  [4, declareQueue],
  [2, declareExchange],
  [6, bind],
  [2, consume],
];

/** One random operation. */
export function act(life: Life, random: () => number, habits: Habits): void {
  if (life.consumers.length < 2 && random() < 0.3) return consume(life, random, habits);
  if (random() < habits.publishing) return publish(life, random, habits);
  return weighted(ACTS, random)(life, random, habits);
}

/** One that the others need: a history begins with some of these. */
export function define(life: Life, random: () => number, habits: Habits): void {
  weighted(DEFINING, random)(life, random, habits);
}

function weighted(acts: typeof ACTS, random: () => number): Act {
  const sum = acts.reduce((before, [weight]) => before + weight, 0);
  let left = random() * sum;
  for (const [weight, one] of acts) if ((left -= weight) < 0) return one;
  return publish;
}

function connection(life: Life, random: () => number): Connection {
  const at = pick(random, CONNECTIONS_MAX);
  return life.connections[at] ?? life.connect();
}

function publish(life: Life, random: () => number, { bodyBytesMax }: Habits): void {
  const message = envelope(life, random);
  const body = Buffer.alloc(Math.floor(random() ** 3 * bodyBytesMax), `${idOf(message)} `);
  life.publish(connection(life, random), { ...message, body });
}

function envelope(life: Life, random: () => number): Omit<Message, 'body'> {
  return { ...address(life, random), properties: properties(random, `m${life.model.order + 1}`) };
}

/** Mostly one that leads somewhere: a queue, or something that is bound. */
function address(life: Life, random: () => number): Pick<Message, 'exchange' | 'routingKey'> {
  const { bindings, queues } = life.model;
  const choice = random();
  if (choice < 0.45 && queues.length > 0) return { exchange: '', routingKey: pickOne(random, queues).name };
  if (choice < 0.92 && bindings.length > 0) {
    const { exchange, key } = pickOne(random, bindings);
    return { exchange: exchange.name, routingKey: key };
  }
  return { exchange: pickOne(random, ['', ...EXCHANGES]), routingKey: pickOne(random, ROUTING_KEYS) };
}

function properties(random: () => number, messageId: string): MessageProperties {
  const deliveryMode = random() < 0.92 ? 2 : 1;
  if (random() < 0.5) return { deliveryMode, messageId };
  return {
    contentType: 'text/plain',
    headers: { of: messageId, number: pick(random, 1000), list: [true, null, { deep: 'ü' }] },
    deliveryMode,
    priority: pick(random, 10),
    correlationId: `c-${messageId}`,
    messageId,
    timestamp: pick(random, 2 ** 31),
    type: 'simulated',
  };
}

function settle(life: Life, random: () => number, habits: Habits): void {
  if (life.held.length === 0) return publish(life, random, habits);
  const held = random() < habits.oldestFirst ? (life.held[0] as Held) : pickOne(random, life.held.slice(-4));
  const how = random();
  if (how < 0.55) return life.ack(held, 'ack');
  if (how < 0.6) return life.ack(held, 'discard');
  if (how < 0.8) return life.requeue(held, random() < 0.6);
  return life.forward(connection(life, random), held, envelope(life, random));
}

function count(life: Life, random: () => number): void {
  if (life.held.length > 0) life.count(pickOne(random, life.held));
}

function consume(life: Life, random: () => number, { withoutAck }: Habits): void {
  const { queues } = life.model;
  if (queues.length === 0 || life.consumers.length >= CONSUMERS_MAX) return;
  const init = { prefetchCount: pickOne(random, [0, 1, 1, 1, 2, 5]), noAck: random() < withoutAck };
  life.consume(connection(life, random), pickOne(random, queues), init);
}

function cancel(life: Life, random: () => number): void {
  if (life.consumers.length > 0) life.cancel(pickOne(random, life.consumers));
}

function closeConnection(life: Life, random: () => number): void {
  if (life.connections.length > 0) life.close(pickOne(random, life.connections));
}

// ---------------------------------------------------------------- definitions: not while the engine refuses them

function purge(life: Life, random: () => number): void {
  const { queues } = life.model;
  if (queues.length === 0 || life.hasFailed) return;
  life.purgeQueue(connection(life, random), pickOne(random, queues));
}

function declareQueue(life: Life, random: () => number): void {
  const name = pickOne(random, QUEUES);
  if (life.model.queue(name) !== undefined || life.hasFailed) return;
  const options = { durable: !isTransient(name), autoDelete: random() < 0.08 };
  life.declareQueue(connection(life, random), name, options);
}

function deleteQueue(life: Life, random: () => number): void {
  const { queues } = life.model;
  if (queues.length === 0 || life.hasFailed) return;
  const queue = pickOne(random, queues);
  life.deleteQueue(connection(life, random), queue);
  // Often another one of the same name takes its place, and must have nothing of it.
  if (random() < 0.5) return;
  const options = { durable: !isTransient(queue.name), autoDelete: false };
  life.declareQueue(connection(life, random), queue.name, options);
}

function declareExchange(life: Life, random: () => number): void {
  const name = pickOne(random, EXCHANGES);
  if (life.model.exchange(name) !== undefined || life.hasFailed) return;
  const type = pickOne(random, ['direct', 'fanout', 'topic'] as const);
  const init = { type, survives: random() < 0.85, autoDelete: random() < 0.1 };
  life.declareExchange(connection(life, random), name, init);
}

function deleteExchange(life: Life, random: () => number): void {
  const exchange = life.model.exchange(pickOne(random, EXCHANGES));
  if (exchange === undefined || exchange.name === 'amq.topic' || life.hasFailed) return;
  life.deleteExchange(connection(life, random), exchange);
}

function bind(life: Life, random: () => number): void {
  const exchange = life.model.exchange(pickOne(random, EXCHANGES));
  const { queues } = life.model;
  if (exchange === undefined || queues.length === 0 || life.hasFailed) return;
  // A fanout exchange has one key, so that what is bound can be told from what is routed.
  const key = exchange.type === 'fanout' ? BINDING_KEYS[0] : pickOne(random, BINDING_KEYS);
  life.bind(connection(life, random), pickOne(random, queues), exchange, key);
}

function unbind(life: Life, random: () => number): void {
  const { bindings } = life.model;
  if (bindings.length === 0 || life.hasFailed) return;
  const { queue, exchange, key } = pickOne(random, bindings);
  life.unbind(connection(life, random), queue, exchange, key);
}
