import { describe, expect, it } from '@jest/globals';
import type { Deserializer } from '@nestjs/microservices';
import type { Message, MessageProperties } from '@nestmq/broker';
import { delayedExchangeOf, EVENTS_EXCHANGE, REQUESTS_EXCHANGE } from '../envelope.js';
import { originHeaders, readEnvelope, readIncoming } from './incoming.js';
import { normaliseWireOptions } from './wire-options.js';
import { Wire } from './wire.js';

const wire = new Wire();

function message(
  exchange: string,
  routingKey: string,
  data: unknown,
  properties: MessageProperties = {},
): Message {
  return { exchange, routingKey, properties, body: Buffer.from(JSON.stringify(data)) };
}

/** As the server puts a message at the end of its queue. */
async function putBack(original: Message): Promise<Message> {
  const incoming = await readIncoming(original, wire);
  const headers = { ...original.properties.headers, ...originHeaders(original, incoming) };
  return { ...original, exchange: '', routingKey: 'orders', properties: { ...original.properties, headers } };
}

describe('an incoming message', () => {
  it('of our exchanges has its pattern as routing key and its data as body', async () => {
    const data = { id: 7 };
    const expected = { pattern: 'order.placed', data, replyFormat: 'nestmq' };
    const event = message(EVENTS_EXCHANGE, 'order.placed', data);
    expect(await readIncoming(event, wire)).toEqual({ kind: 'event', ...expected });
    const request = message(REQUESTS_EXCHANGE, 'order.placed', data);
    expect(await readIncoming(request, wire)).toEqual({ kind: 'request', ...expected });
  });

  it.each([EVENTS_EXCHANGE, REQUESTS_EXCHANGE, delayedExchangeOf(EVENTS_EXCHANGE)])(
    'of our exchange %s may have data that looks like a packet of Nest, also when it is put back',
    async (exchange) => {
      const data = { pattern: 'order.placed', data: 1, id: 'x' };
      const original = message(exchange, 'order.placed', data);
      const expected = { pattern: 'order.placed', data, replyFormat: 'nestmq' };
      expect(await readIncoming(original, wire)).toMatchObject(expected);
      expect(await readIncoming(await putBack(original), wire)).toEqual(await readIncoming(original, wire));
    },
  );

  it.each<[string, unknown, string]>([
    ['a name', 'order.placed', 'order.placed'],
    ['a number', 5, '5'],
    ['an object, whatever the order of its keys', { b: { c: 2 }, a: 'x' }, '{"a":"x","b":{"c":2}}'],
    ['an object as JSON', '{"cmd":"sum","a":1}', '{"a":1,"cmd":"sum"}'],
    ['a name that begins with a brace', '{order', '{order'],
  ])('that Nest sent to the queue is read with its pattern, %s', async (_what, pattern, route) => {
    const event = message('', 'orders', { pattern, data: [1] });
    const expected = { pattern: route, data: [1], replyFormat: 'nest-rmq' };
    expect(await readIncoming(event, wire)).toEqual({ kind: 'event', ...expected });
    const request = message('', 'orders', { pattern, data: [1], id: 'abc', metadata: { trace: 't' } });
    expect(await readIncoming(request, wire)).toEqual({ kind: 'request', ...expected });
    expect(await readIncoming(await putBack(request), wire)).toEqual({ kind: 'request', ...expected });
  });

  it('that Nest published with wildcards is known by its routing key', async () => {
    const pattern = { cmd: 'sum' };
    const request = message('nest', '{"cmd":"sum"}', { pattern, data: 1, id: 'x' });
    expect(await readIncoming(request, wire)).toMatchObject({ kind: 'request', replyFormat: 'nest-rmq' });
    const data = { pattern: 'other', data: 1 };
    expect(await readIncoming(message('amq.topic', 'order.placed', data), wire)).toEqual({
      kind: 'event',
      pattern: 'order.placed',
      data,
      replyFormat: 'nestmq',
    });
  });

  it.each<[string, unknown]>([
    ['no object', 'text'],
    ['a list', [1]],
    ['null', null],
    ['an object without a pattern', { data: 1 }],
    ['an object with keys that no packet has', { pattern: 'a', data: 1, name: 'x' }],
    ['an object whose pattern is none', { pattern: null, data: 1 }],
    ['an object whose pattern is a list', { pattern: ['a'], data: 1 }],
  ])(
    'sent to the queue itself that is no packet is an event of the queue’s name: %s',
    async (_what, data) => {
      const expected = { kind: 'event', pattern: 'orders', data, replyFormat: 'nestmq' };
      expect(await readIncoming(message('', 'orders', data), wire)).toEqual(expected);
    },
  );

  it('may have a pattern that is nested without end', async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const body = Buffer.from(`{"pattern":${deep},"data":1}`);
    const toQueue = await readIncoming({ ...message('', 'orders', 0), body }, wire);
    expect(toQueue.pattern).toContain('[MAX_DEPTH_REACHED]');
    const toExchange = await readIncoming({ ...message('amq.topic', 'orders', 0), body }, wire);
    expect(toExchange.pattern).toBe('orders');
  });

  it('is put back as what it was, and headers that others gave it mean nothing before that', async () => {
    const headers = { 'x-nestmq-routing-key': 'other', 'x-nestmq-exchange': REQUESTS_EXCHANGE, mine: 1 };
    for (const exchange of [EVENTS_EXCHANGE, REQUESTS_EXCHANGE, 'amq.topic']) {
      const original = message(exchange, 'order.placed', 1, { headers });
      const read = await readIncoming(original, wire);
      expect(read.pattern).toBe('order.placed');
      const again = await putBack(original);
      expect(again.properties.headers).toMatchObject({ mine: 1, 'x-nestmq-exchange': exchange });
      expect(await readIncoming(again, wire)).toEqual(read);
      expect(await readIncoming(await putBack(again), wire)).toEqual(read);
    }
  });

  it('whose body can not be read still tells its kind and pattern', () => {
    const broken = { ...message(REQUESTS_EXCHANGE, 'sum', 0), body: Buffer.from('{') };
    expect(() => readIncoming(broken, wire)).toThrow('JSON');
    expect(readEnvelope(broken)).toEqual({ kind: 'request', pattern: 'sum' });
  });
});

describe('a deserializer of requests and events', () => {
  const wireWith = (deserialize: Deserializer['deserialize']): Wire =>
    new Wire(normaliseWireOptions({ deserializer: { deserialize } }));
  const given: unknown[] = [];
  const upper = wireWith(async (packet, options) => {
    given.push([packet, options?.['channel'], options?.['messageId']]);
    return { ...packet, data: String(packet.data).toUpperCase() };
  });

  it('gets a packet of each message, and what it returns is handled', async () => {
    const event = message(EVENTS_EXCHANGE, 'order.placed', 'a', { messageId: 'm' });
    expect(await readIncoming(event, upper)).toMatchObject({
      kind: 'event',
      pattern: 'order.placed',
      data: 'A',
    });
    const request = message(REQUESTS_EXCHANGE, 'sum', 'a', { correlationId: '7' });
    expect(await readIncoming(request, upper)).toMatchObject({ kind: 'request', pattern: 'sum', data: 'A' });
    expect(given).toEqual([
      [{ pattern: 'order.placed', data: 'a' }, 'order.placed', 'm'],
      [{ pattern: 'sum', data: 'a', id: '7' }, 'sum', undefined],
    ]);
  });

  it('gets the body of what was sent to the queue itself, as Nest’s own would, also when it is put back', async () => {
    const foreign = wireWith((value) => ({ pattern: 'mapped', data: value as unknown, id: 'x' }));
    const expected = { kind: 'request', pattern: 'mapped', data: { order: 1 }, replyFormat: 'nest-rmq' };
    const original = message('', 'orders', { order: 1 });
    const incoming = await readIncoming(original, foreign);
    expect(incoming).toEqual(expected);
    const again = { ...original, properties: { headers: originHeaders(original, incoming) } };
    expect(await readIncoming(again, foreign)).toEqual(expected);
  });

  it('that returns no packet, or fails, leaves the message unreadable', async () => {
    const event = message(EVENTS_EXCHANGE, 'order.placed', 'a');
    await expect(
      readIncoming(
        event,
        wireWith(() => undefined),
      ),
    ).rejects.toThrow('no packet with a pattern');
    const failing = wireWith(async () => {
      throw new TypeError('no');
    });
    await expect(readIncoming(event, failing)).rejects.toMatchObject({ name: 'UnreadableBodyException' });
  });
});
