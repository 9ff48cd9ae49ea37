import { describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import type { Connection } from './connection.js';
import { to } from './engine.spec.support.js';
import { pick, pickOne, withSeed } from './random.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

const SEEDS = 150;
const STEPS = 40;
const EXCHANGES = ['a', 'b', 'c', 'd'] as const;
const QUEUES = ['q', 'r'] as const;
const KEYS = ['k', 'l'] as const;
const ARGUMENTS = [undefined, { a: 1 }, { a: 1n }] as const;

interface ModelExchange {
  readonly type: 'direct' | 'fanout';
  readonly autoDelete: boolean;
  readonly durable: boolean;
  readonly alternate: string | undefined;
}

/** `source`, `key`, destination, and which arguments. */
interface ModelBinding {
  readonly source: string;
  readonly destination: string;
  readonly key: string;
  readonly args: number;
}

/** Exchanges and bindings, as simple as can be: every question is answered by looking at all bindings. */
class Model {
  readonly exchanges = new Map<string, ModelExchange>();
  readonly queues = new Map<string, { readonly durable: boolean }>();
  bindings: ModelBinding[] = [];

  isThere(name: string): boolean {
    return this.exchanges.has(name) || this.queues.has(name);
  }

  bind(binding: ModelBinding): void {
    if (!this.bindings.some((one) => isSame(one, binding))) this.bindings.push(binding);
  }

  unbind(gone: (binding: ModelBinding) => boolean): void {
    const removed = this.bindings.filter(gone);
    this.bindings = this.bindings.filter((one) => !gone(one));
    for (const { source } of removed) {
      const isBound = this.bindings.some((one) => one.source === source);
      if (!isBound && this.exchanges.get(source)?.autoDelete === true) this.remove(source);
    }
  }

  remove(name: string): void {
    this.queues.delete(name);
    if (this.exchanges.delete(name)) this.bindings = this.bindings.filter(({ source }) => source !== name);
    this.unbind(({ destination }) => destination === name);
  }

  route(from: string, key: string): string[] {
    const [found, visited, waiting] = [new Set<string>(), new Set<string>(), [from]];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const exchange = this.exchanges.get(name);
      if (exchange === undefined || visited.has(name)) continue;
      visited.add(name);
      const matching = this.bindings.filter(
        (one) => one.source === name && (exchange.type === 'fanout' || one.key === key),
      );
      for (const { destination } of matching) {
        if (this.queues.has(destination)) found.add(destination);
        else waiting.push(destination);
      }
      if (matching.length === 0 && exchange.alternate !== undefined) waiting.push(exchange.alternate);
    }
    return [...found].toSorted();
  }

  /** What a restart leaves. */
  restarted(): Model {
    const after = new Model();
    for (const [name, one] of this.exchanges) if (one.durable) after.exchanges.set(name, one);
    for (const [name, one] of this.queues) if (one.durable) after.queues.set(name, one);
    after.bindings = this.bindings.filter(
      ({ source, destination }) => after.isThere(source) && after.isThere(destination),
    );
    return after;
  }
}

function isSame(a: ModelBinding, b: ModelBinding): boolean {
  return a.source === b.source && a.destination === b.destination && a.key === b.key && a.args === b.args;
}

function routes(connection: Connection, model: Model): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const exchange of model.exchanges.keys()) {
    for (const key of KEYS) {
      const before = ready(connection, model);
      connection.publish(to(key, '', { exchange, properties: {} }));
      const after = ready(connection, model);
      found[`${exchange} ${key}`] = [...after]
        .filter(([queue, count]) => count !== before.get(queue))
        .map(([queue]) => queue)
        .toSorted();
    }
  }
  return found;
}

function ready(connection: Connection, model: Model): Map<string, number> {
  return new Map([...model.queues.keys()].map((queue) => [queue, connection.checkQueue(queue).messageCount]));
}

function expectedRoutes(model: Model): Record<string, string[]> {
  const names = [...model.exchanges.keys()].flatMap((exchange) =>
    KEYS.map((key) => [exchange, key] as const),
  );
  return Object.fromEntries(
    names.map(([exchange, key]) => [`${exchange} ${key}`, model.route(exchange, key)]),
  );
}

/** One change, of the engine and of the model. */
async function change(connection: Connection, model: Model, random: () => number): Promise<void> {
  const choice = random();
  if (choice < 0.2) return declareExchange(connection, model, random);
  if (choice < 0.3) return declareQueue(connection, model, random);
  const name = pickOne(random, [...EXCHANGES, ...QUEUES]);
  if (choice < 0.38) {
    model.remove(name);
    await (QUEUES.includes(name as 'q') ? connection.deleteQueue(name) : connection.deleteExchange(name));
    return undefined;
  }
  const [source, key, args] = [
    pickOne(random, EXCHANGES),
    pickOne(random, KEYS),
    pick(random, ARGUMENTS.length),
  ];
  const chosen = { source, destination: name, key, args };
  if (choice < 0.75) {
    if (!model.exchanges.has(source) || !model.isThere(name)) return undefined;
    model.bind(chosen);
    return tell(connection, chosen, true);
  }
  // Mostly one that is there.
  const binding = random() < 0.8 ? (model.bindings[pick(random, model.bindings.length)] ?? chosen) : chosen;
  model.unbind((one) => isSame(one, binding));
  return tell(connection, binding, false);
}

async function tell(
  connection: Connection,
  { source, destination, key, args }: ModelBinding,
  isBinding: boolean,
): Promise<void> {
  const table = ARGUMENTS[args];
  if (QUEUES.includes(destination as 'q')) {
    if (isBinding) await connection.bindQueue(destination, source, key, table);
    else await connection.unbindQueue(destination, source, key, table);
    return;
  }
  const binding = { source, destination, key, arguments: table };
  if (isBinding) await connection.bindExchange(binding);
  else await connection.unbindExchange(binding);
}

async function declareExchange(connection: Connection, model: Model, random: () => number): Promise<void> {
  const name = pickOne(random, EXCHANGES);
  if (model.exchanges.has(name)) return;
  const alternate = random() < 0.3 ? pickOne(random, EXCHANGES) : undefined;
  const one = {
    type: pickOne(random, ['direct', 'fanout'] as const),
    autoDelete: random() < 0.5,
    durable: random() < 0.7,
    alternate,
  };
  model.exchanges.set(name, one);
  const args = alternate === undefined ? {} : { arguments: { 'alternate-exchange': alternate } };
  await connection.declareExchange(name, { ...one, ...args });
}

async function declareQueue(connection: Connection, model: Model, random: () => number): Promise<void> {
  const name = pickOne(random, QUEUES);
  if (model.queues.has(name)) return;
  const durable = random() < 0.7;
  model.queues.set(name, { durable });
  await connection.declareQueue(name, { durable });
}

describe('exchanges, of any history', () => {
  it('route as all their bindings say, also after a restart', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      await withSeed(seed, async (random) => {
        let disk = new SimulatedFileSystem();
        let model = new Model();
        for (let life = 0; life < 2; life++) {
          const broker = await openBroker({ directory: '/data', fileSystem: disk });
          const connection = broker.connect();
          expect(routes(connection, model)).toEqual(expectedRoutes(model));
          for (let step = 0; step < STEPS; step++) await change(connection, model, random);
          expect(routes(connection, model)).toEqual(expectedRoutes(model));
          disk = disk.afterPowerCut(() => 0);
          model = model.restarted();
        }
      });
    }
  });

  it('can be opened again, wherever a crash has cut it off', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      await withSeed(seed, async (random) => {
        const disk = new SimulatedFileSystem();
        const connection = (await openBroker({ directory: '/data', fileSystem: disk })).connect();
        const model = new Model();
        const steps = pick(random, STEPS);
        for (let step = 0; step < steps; step++) await change(connection, model, random);
        // Not waited for: some of it is on the disk, and some is not.
        for (let step = 0; step < 3; step++) void change(connection, model, random).catch(() => {});
        for (let turns = pick(random, 4); turns > 0; turns--) await new Promise(setImmediate);
        const again = await openBroker({ directory: '/data', fileSystem: disk.afterPowerCut(random) });
        expect(again.failure).toBeUndefined();
        await again.close();
      });
    }
  });
});
