import { isDeepStrictEqual } from 'node:util';
import { type Found, type FoundQueue, QUEUES } from './broker-inspection.spec.support.js';
import {
  BINDING_KEYS,
  BrokerModel,
  countOf,
  type Fate,
  idOf,
  type Lifespan,
  type ModelExchange,
  type ModelMessage,
  type ModelQueue,
  newMessage,
} from './broker-model.spec.support.js';
import type { Message } from './message/message.js';
import type { Delivery } from './queue/delivery.js';

/** What may be found, beside what there is. */
export interface Expectation {
  fateOf(thing: Lifespan): Fate;
  deliveryCountsOf(one: ModelMessage): readonly [least: number, most: number];
  isRedelivered(one: ModelMessage): boolean;
}

/** In an engine that lives everything is known. */
export const ALIVE: Expectation = {
  fateOf: ({ removed }) => (removed === undefined ? 'must' : 'must not'),
  deliveryCountsOf: (one) => [countOf(one), countOf(one)],
  isRedelivered: (one) => one.deliveredBefore,
};

/** What is durable must be there, what is not may be. Whether a message was delivered nobody knows (decision 3). */
export function afterCrash({ steps }: BrokerModel): Expectation {
  return {
    fateOf: (thing) => steps.fateOf(thing),
    deliveryCountsOf: (one) => {
      const known = one.counts.findLastIndex(({ step }) => steps.isKnown(step));
      const possible = [{ count: 0 }, ...one.counts].slice(known + 1).map(({ count }) => count);
      return [Math.min(...possible), Math.max(...possible)];
    },
    isRedelivered: () => true,
  };
}

/** Which queue of the model each queue is that was found. */
export type Identities = Map<string, ModelQueue>;

/** Throws, in words, when something is lost, risen again, out of order or wrong. */
export function checkFound(model: BrokerModel, found: Found, expected: Expectation): Identities {
  const identities: Identities = new Map();
  for (const name of QUEUES) {
    const queue = identify(model, name, found.queues.get(name), expected);
    if (queue !== undefined) identities.set(name, queue);
  }
  for (const name of new Set([...model.allExchanges.map((one) => one.name), ...found.exchanges.keys()])) {
    const candidates = model.allExchanges.filter((one) => one.name === name);
    checkPresence(`the exchange '${name}'`, candidates, found.exchanges.has(name), expected);
  }
  checkBindings(model, found, expected);
  checkTogether(model, found, identities);
  return identities;
}

/** Of several queues that had the name one after the other, the one that this can be. */
function identify(
  model: BrokerModel,
  name: string,
  found: FoundQueue | undefined,
  expected: Expectation,
): ModelQueue | undefined {
  const had = model.allQueues.filter((one) => one.name === name);
  checkPresence(`the queue '${name}'`, had, found !== undefined, expected);
  if (found === undefined) return undefined;
  const sure = had.filter((one) => expected.fateOf(one) === 'must');
  const candidates = sure.length > 0 ? sure : had.filter((one) => expected.fateOf(one) === 'may');
  let why: Error | undefined;
  for (const candidate of candidates.toReversed()) {
    try {
      checkQueue(candidate, found, expected);
      return candidate;
    } catch (error) {
      why ??= error as Error;
    }
  }
  throw why as Error;
}

function checkPresence(
  what: string,
  candidates: readonly Lifespan[],
  isFound: boolean,
  expected: Expectation,
): void {
  const fates = new Set(candidates.map((one) => expected.fateOf(one)));
  if (!isFound && fates.has('must')) fail(`${what} is gone`);
  if (isFound && !fates.has('must') && !fates.has('may')) fail(`${what} is there, though it should not be`);
}

function checkQueue(queue: ModelQueue, { autoDelete, deliveries }: FoundQueue, expected: Expectation): void {
  if (autoDelete !== queue.autoDelete) fail(`'${queue.name}' is another queue than was declared`);
  const byId = new Map(queue.messages.map((one) => [idOf(one.message), one]));
  let before: ModelMessage | undefined;
  for (const delivery of deliveries) {
    const one = byId.get(idOf(delivery.message));
    if (one === undefined) fail(`${idOf(delivery.message)} is in '${queue.name}', where it never was`);
    if (before !== undefined && one.order <= before.order)
      fail(`${nameOf(one)} comes after ${nameOf(before)}`);
    before = one;
    if (expected.fateOf(one) === 'must not') fail(`${nameOf(one)} is there, though it should not be`);
    checkDelivery(one, delivery, expected);
  }
  const foundIds = new Set(deliveries.map(({ message }) => idOf(message)));
  for (const one of queue.messages) {
    if (expected.fateOf(one) === 'must' && !foundIds.has(idOf(one.message))) fail(`${nameOf(one)} is lost`);
  }
}

export function checkDelivery(one: ModelMessage, delivery: Delivery, expected: Expectation): void {
  if (!isSame(delivery.message, one.message)) fail(`${nameOf(one)} is not what was published`);
  const redelivered = expected.isRedelivered(one);
  if (delivery.redelivered !== redelivered)
    fail(`${nameOf(one)} is ${redelivered ? 'not ' : ''}flagged as redelivered`);
  const [least, most] = expected.deliveryCountsOf(one);
  const count = delivery.deliveryCount;
  if (count < least || count > most)
    fail(`${nameOf(one)} has the delivery count ${count}, not ${least} to ${most}`);
}

function isSame(found: Message, published: Message): boolean {
  if (found === published) return true;
  return (
    found.exchange === published.exchange &&
    found.routingKey === published.routingKey &&
    found.body.equals(published.body) &&
    isDeepStrictEqual(found.properties, published.properties)
  );
}

function checkBindings(model: BrokerModel, found: Found, expected: Expectation): void {
  for (const [exchangeName, { options, routes }] of found.exchanges) {
    for (const queueName of found.queues.keys()) {
      for (const key of options.type === 'fanout' ? BINDING_KEYS.slice(0, 1) : BINDING_KEYS) {
        const had = model.allBindings.filter(
          (one) => one.exchange.name === exchangeName && one.queue.name === queueName && one.key === key,
        );
        const isFound = routes.get(key)?.includes(queueName) ?? false;
        checkPresence(
          `the binding of '${queueName}' to '${exchangeName}' by '${key}'`,
          had,
          isFound,
          expected,
        );
      }
    }
  }
}

/** J2: what one record put into queues is in all of them or in none, and what was moved in one place. */
function checkTogether({ allQueues, steps }: BrokerModel, found: Found, identities: Identities): void {
  const ids = new Map([...found.queues].map(([name, { deliveries }]) => [name, idsOf(deliveries)]));
  const isIdentified = (one: ModelMessage): boolean => identities.get(one.queue.name) === one.queue;
  const isThere = (one: ModelMessage): boolean =>
    isIdentified(one) && (ids.get(one.queue.name)?.has(idOf(one.message)) ?? false);
  const isAccountedFor = (one: ModelMessage): boolean =>
    isThere(one) || !one.survives || !isIdentified(one) || wasSettled(one);
  const wasSettled = (one: ModelMessage): boolean =>
    one.removed !== undefined && one.movedTo.every((target) => isAccountedFor(target));
  for (const one of allQueues.flatMap(({ messages }) => messages)) {
    const arrived = one.movedTo.find(isThere);
    if (arrived !== undefined && isThere(one))
      fail(`${nameOf(one)} is still there, and in '${arrived.queue.name}' too`);
    if (isIdentified(one) && steps.isKnown(one.added) && !isAccountedFor(one))
      fail(`${nameOf(one)} is lost on its way`);
    const others = one.together.filter((other) => isThere(one) && !isAccountedFor(other));
    for (const other of others) fail(`${nameOf(one)} is there, but not in '${other.queue.name}'`);
  }
}

/** From now on what was found is the truth, and durable: it was read from the disk, or is in an engine that lives. */
export function adopt(model: BrokerModel, found: Found, identities: Identities): BrokerModel {
  const next = new BrokerModel(model.order);
  const step = next.steps.begin();
  next.steps.confirmAll(step);
  for (const [name, { options }] of found.exchanges) {
    const { type, autoDelete = false } = options;
    if (next.exchange(name) === undefined)
      next.declareExchange(name, { type, autoDelete, survives: true }, step);
  }
  for (const [name, queue] of identities) {
    const fresh = next.declareQueue(name, queue, step);
    adoptMessages(queue, fresh, found.queues.get(name)?.deliveries ?? []);
    for (const [exchange, { routes }] of found.exchanges) adoptBindings(next, fresh, exchange, routes);
  }
  forgetUnused(next);
  return next;
}

/** Queues that live by their consumers are gone: whoever looked into them was the last one. */
export function forgetUnused(model: BrokerModel): void {
  for (const queue of model.queues) if (queue.autoDelete) model.removeQueue(queue, model.steps.begin());
}

function adoptMessages(from: ModelQueue, to: ModelQueue, deliveries: readonly Delivery[]): void {
  const byId = new Map(from.messages.map((one) => [idOf(one.message), one]));
  for (const { message, deliveryCount } of deliveries) {
    const { message: published, order } = byId.get(idOf(message)) as ModelMessage;
    const { added } = to;
    const one = newMessage({ queue: to, message: published, order, survives: true, added, together: [] });
    one.deliveredBefore = true;
    one.counts.push({ step: added, count: deliveryCount });
    to.messages.push(one);
  }
}

function adoptBindings(
  next: BrokerModel,
  queue: ModelQueue,
  exchangeName: string,
  routes: ReadonlyMap<string, readonly string[]>,
): void {
  const exchange = next.exchange(exchangeName) as ModelExchange;
  for (const key of exchange.type === 'fanout' ? BINDING_KEYS.slice(0, 1) : BINDING_KEYS) {
    if (routes.get(key)?.includes(queue.name) ?? false) next.bind(exchange, queue, key, queue.added);
  }
}

function idsOf(deliveries: readonly Delivery[]): Set<string> {
  return new Set(deliveries.map(({ message }) => idOf(message)));
}

/** What exchanges of this name may have been declared as, the surest first. */
export function candidatesFor(
  { allExchanges }: BrokerModel,
  name: string,
  expected: Expectation,
): ModelExchange[] {
  const had = allExchanges.filter((one) => one.name === name);
  const sure = had.filter((one) => expected.fateOf(one) === 'must');
  return sure.length > 0 ? sure : had.filter((one) => expected.fateOf(one) === 'may').toReversed();
}

export function nameOf({ message, queue }: ModelMessage): string {
  return `${idOf(message)} in '${queue.name}'`;
}

export function fail(what: string): never {
  throw new Error(what);
}
