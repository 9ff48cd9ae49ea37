import { describe, expect, it } from '@jest/globals';
import { QueueOptionsException } from './queue.exceptions.js';
import { normaliseQueueOptions, type QueueOptions } from './queue.options.js';
import { QueueRecord } from './queue.record.js';

const NOT_WHOLE = [-1, 1.5, '3', Number.NaN, Infinity, null, {}, true];
const NOT_A_NAME = ['', 'amq.x', 'x'.repeat(201), 7, null, true, []];
const NOT_A_TABLE = [1, 'x', null, [], true, () => {}];
const NOT_A_TIME = [-1, '5', '5 weeks', Number.NaN, Infinity, null, {}, true];
const NOT_A_FLAG = ['yes', 'false', 0, 1, null, {}];
const NOT_AN_ID = ['', 'x'.repeat(256), 5, null, {}];
const under = (key: string, values: readonly unknown[]): unknown[] => values.map((one) => ({ [key]: one }));

/** What can't be meant, by the option. */
const OF_A_MODULE: Readonly<Record<Extract<keyof QueueOptions, string>, readonly unknown[]>> = {
  url: [undefined, null, '', 'file:', 'redis://h', 5, {}, ['memory:']],
  urls: [null, [], 'amqp://h', ['memory:'], ['amqp://a', 5], {}],
  link: [null, 'x', 5, {}, [], async () => {}],
  queue: NOT_A_NAME,
  prefetchCount: [...NOT_WHOLE, 0, 65_536],
  deliveryLimit: [...NOT_WHOLE, 0, 1, 1001],
  retry: [
    ...NOT_A_TABLE,
    ...under('attempts', [...NOT_WHOLE, 0, 1001]),
    ...under('delay', [...NOT_A_TIME, [], [5, 'x'], '31d']),
    ...under('backoff', ['linear', 5, null, true]),
    ...under('factor', ['2', 0.5, 101, null, Number.NaN]),
    ...under('maxDelay', [...NOT_A_TIME, '31d', 1]),
    ...under('jitter', ['0', -0.1, 1.1, null, Number.NaN]),
    ...under('on', [Error, [5], ['Error'], [() => {}], null]),
    ...under('except', [Error, [5], ['Error'], [() => {}], null]),
    { atempts: 5 },
  ],
  noAck: NOT_A_FLAG,
  queueOptions: [...NOT_A_TABLE, { durable: false }, ...under('arguments', NOT_A_TABLE)],
  gracePeriod: [...NOT_A_TIME, '61m'],
  requestTimeout: [...NOT_A_TIME, '25d'],
  wireFormat: ['nest', '', 5, null],
  codec: ['msgpack', 5, null, {}, []],
  codecs: ['json', 5, null, {}, ['json'], [{}]],
  compression: ['gzip', 5, null, {}, { encoding: 'zip' }, { encoding: 'br', level: 5 }],
  maxDecompressedBytes: [...NOT_WHOLE, 0, 2 ** 30 + 1],
  encryption: ['aes', 5, null, {}, []],
  serializer: ['json', 5, null, {}, []],
  deserializer: ['json', 5, null, {}, []],
  broker: [...NOT_A_TABLE, { directory: './data' }],
  amqp: [
    ...NOT_A_TABLE,
    ...under('heartbeat', [...NOT_A_TIME, 0, '61m']),
    ...under('connectionTimeout', [...NOT_A_TIME, '25h']),
    ...under('tls', NOT_A_TABLE),
    ...under('connectionName', ['', 'x'.repeat(201), 5, null]),
    ...under('reconnect', [...NOT_A_TABLE, { minDelay: 5 }, { maxDelay: '2h' }, { delay: 5 }]),
    ...under('publishTimeout', [...NOT_A_TIME, 0, '25h']),
    ...under('maxWaiting', [...NOT_WHOLE, 0, 1_000_001]),
    ...under('queueType', ['stream', '', 5, null]),
    ...under('maxMessageSize', [...NOT_WHOLE, 0, 2 ** 29 + 1]),
    { hearbeat: 5 },
  ],
  metrics: [...NOT_A_TABLE, {}],
  telemetry: [1, 'x', null, [], { relation: 'parent' }, { relatoin: 'link' }],
};

const OF_A_RECORD: Readonly<Record<string, readonly unknown[]>> = {
  headers: [...NOT_A_TABLE, { '': 1 }, { 'x-nestmq-x': 1 }, { ['x'.repeat(129)]: 1 }, { a: Symbol('x') }],
  priority: [...NOT_WHOLE, 256],
  expiration: [...NOT_A_TIME, '3651d'],
  delay: [...NOT_A_TIME, '3651d'],
  scheduleAt: ['tomorrow', new Date('x'), Number.NaN, null, {}, true],
  deduplicationId: NOT_AN_ID,
  orderingKey: NOT_AN_ID,
  messageId: NOT_AN_ID,
  correlationId: NOT_AN_ID,
  timeout: [...NOT_A_TIME, '25d'],
  persistent: NOT_A_FLAG,
  mandatory: NOT_A_FLAG,
};

function optionsWith(key: string, value: unknown): QueueOptions {
  const home = key === 'amqp' ? { url: 'amqp://h' } : key === 'urls' ? {} : { url: 'memory:' };
  return { ...home, [key]: value };
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
    return 'nothing';
  } catch (error) {
    return error;
  }
}

/** The keys that the error for an unknown one lists. */
function known(act: () => unknown): string[] {
  const [, list = ''] = /Options here are: (.*)\.$/.exec(String(thrownBy(act))) ?? [];
  return list.split(', ').toSorted();
}

describe("a module's options", () => {
  it.each(Object.entries(OF_A_MODULE))('can not have as %s what is none', (key, values) => {
    for (const value of values) {
      const what = `${key}: ${JSON.stringify(value) ?? String(value)}`;
      const error = thrownBy(() => normaliseQueueOptions(optionsWith(key, value)));
      expect([what, error]).toEqual([what, expect.any(QueueOptionsException)]);
      expect(String(error)).toContain(key);
    }
  });

  it('can not have as amqp what is none, though the URL is another one', () => {
    for (const amqp of OF_A_MODULE.amqp) {
      const error = thrownBy(() => normaliseQueueOptions({ url: 'memory:', amqp } as never));
      expect([amqp, error]).toEqual([amqp, expect.any(QueueOptionsException)]);
    }
  });

  it('are all tried here', () => {
    expect(known(() => normaliseQueueOptions({ nope: 1 } as never))).toEqual(
      Object.keys(OF_A_MODULE).toSorted(),
    );
  });
});

describe("a record's options", () => {
  it.each(Object.entries(OF_A_RECORD))('can not have as %s what is none', (key, values) => {
    for (const value of values) {
      const what = `${key}: ${JSON.stringify(value) ?? String(value)}`;
      const error = thrownBy(() => new QueueRecord(1, { [key]: value }));
      expect([what, error]).toEqual([what, expect.any(QueueOptionsException)]);
      expect(String(error)).toContain(key);
    }
  });

  it('are all tried here', () => {
    expect(known(() => new QueueRecord(1, { nope: 1 } as never))).toEqual(
      Object.keys(OF_A_RECORD).toSorted(),
    );
  });
});
