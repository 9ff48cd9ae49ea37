import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import { ManualClock, type Server } from '@nestmq/broker';
import { startServer } from './server.js';

const clock = new ManualClock();
let server: Server;
let connection: ChannelModel;
let channel: ConfirmChannel;

beforeAll(async () => {
  server = await startServer({ clock });
});
afterAll(() => server.close());
beforeEach(async () => {
  connection = await connect(`amqp://127.0.0.1:${server.port}?heartbeat=0`);
  channel = await connection.createConfirmChannel();
});
afterEach(() => connection.close());

async function publish(queue: string, body: string, options: object = {}): Promise<void> {
  channel.sendToQueue(queue, Buffer.from(body), options);
  await channel.waitForConfirms();
}

async function drain(queue: string): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return messages;
    messages.push(message);
  }
}

function bodies(messages: readonly GetMessage[]): string[] {
  return messages.map(({ content }) => content.toString());
}

/** Time goes by, and what it changes is done: the server answers after. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await channel.checkExchange('amq.topic');
  await new Promise(setImmediate);
}

describe('dead letters', () => {
  it('tell what befell them as RabbitMQ does, and keep the types of their other headers', async () => {
    const { queue: dead } = await channel.assertQueue('', { exclusive: true });
    const { queue } = await channel.assertQueue('', {
      deadLetterExchange: '',
      deadLetterRoutingKey: dead,
      exclusive: true,
    });
    const float = { '!': 'float', value: 0.5 };
    await publish(queue, 'a', { headers: { z: 1, a: float }, expiration: '20', priority: 3 });
    await pass(20);
    const [letter] = await drain(dead);
    const { headers, expiration, priority } = (letter as GetMessage).properties;
    expect(Object.keys(headers ?? {})).toEqual([
      'a',
      'x-death',
      'x-first-death-exchange',
      'x-first-death-queue',
      'x-first-death-reason',
      'z',
    ]);
    expect([headers?.['a'], headers?.['z'], expiration, priority]).toEqual([0.5, 1, undefined, 3]);
    const [event] = (headers?.['x-death'] ?? []) as unknown as object[];
    expect(Object.keys(event as object)).toEqual([
      'count',
      'reason',
      'queue',
      'time',
      'exchange',
      'routing-keys',
      'original-expiration',
    ]);
    expect(event).toMatchObject({ count: 1, reason: 'expired', queue, 'original-expiration': '20' });
  });

  it('go by their CC as well, unless the queue has a key for them', async () => {
    for (const [name, key] of [
      ['keeps', undefined],
      ['changes', 'k'],
    ] as const) {
      await channel.assertExchange('dead', 'topic', { autoDelete: true });
      const { queue: dead } = await channel.assertQueue('', { exclusive: true });
      const { queue } = await channel.assertQueue('', {
        deadLetterExchange: 'dead',
        ...(key && { deadLetterRoutingKey: key }),
        exclusive: true,
      });
      await channel.bindQueue(dead, 'dead', key ?? 'copy');
      await publish(queue, name, { CC: 'copy' });
      const message = (await channel.get(queue)) as GetMessage;
      channel.nack(message, false, false);
      const [letter] = await drain(dead);
      const { headers } = (letter as GetMessage).properties;
      expect([name, headers?.['CC']]).toEqual([name, key === undefined ? ['copy'] : undefined]);
      expect(headers?.['x-death']).toMatchObject([{ 'routing-keys': [queue, 'copy'] }]);
    }
  });
});

describe('a full queue', () => {
  it('nacks what it does not take, and nobody gets a return', async () => {
    const { queue } = await channel.assertQueue('', {
      maxLength: 1,
      exclusive: true,
      arguments: { 'x-overflow': 'reject-publish' },
    });
    const returned: unknown[] = [];
    channel.on('return', (message) => returned.push(message));
    const answers: string[] = [];
    for (const body of ['a', 'b']) {
      await new Promise<void>((resolve) => {
        channel.sendToQueue(queue, Buffer.from(body), { mandatory: true }, (error: unknown) => {
          answers.push(error === null ? 'ack' : 'nack');
          resolve();
        });
      });
    }
    expect(answers).toEqual(['ack', 'nack']);
    expect(returned).toEqual([]);
    expect(bodies(await drain(queue))).toEqual(['a']);
  });
});

describe('a quorum queue', () => {
  it('counts deliveries in a header, and gives up after its limit, also when channels close', async () => {
    await channel.assertQueue('quorum.dead');
    await channel.assertQueue('quorum', {
      deadLetterExchange: '',
      deadLetterRoutingKey: 'quorum.dead',
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 },
    });
    await publish('quorum', 'a');
    const counts: unknown[] = [];
    for (let time = 0; time < 2; time++) {
      const other = await connection.createChannel();
      const message = (await other.get('quorum')) as GetMessage;
      counts.push(message.properties.headers?.['x-delivery-count'], message.fields.redelivered);
      await other.close();
    }
    expect(counts).toEqual([0, false, 1, true]);
    expect(await channel.get('quorum')).toBe(false);
    const [letter] = await drain('quorum.dead');
    expect((letter as GetMessage).properties.headers?.['x-first-death-reason']).toBe('delivery_limit');
  });
});

describe('a delayed message', () => {
  it('comes when its delay is over', async () => {
    await channel.assertExchange('later', 'x-delayed-message', { arguments: { 'x-delayed-type': 'topic' } });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'later', 'a.*');
    channel.publish('later', 'a.b', Buffer.from('late'), { headers: { 'x-delay': 5000 }, mandatory: true });
    channel.publish('later', 'a.c', Buffer.from('now'));
    await channel.waitForConfirms();
    expect(bodies(await drain(queue))).toEqual(['now']);
    await pass(4999);
    expect(bodies(await drain(queue))).toEqual([]);
    await pass(1);
    const [late] = await drain(queue);
    expect((late as GetMessage).properties.headers).toEqual({ 'x-delay': -5000 });
    await channel.deleteExchange('later');
  });
});
