import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect, type ConsumeMessage } from 'amqplib';
import type { Server } from '@nestmq/broker';
import { method, ScriptedClient, short, shortString, startServer } from './server.js';

let server: Server;
let connection: ChannelModel;
let other: ChannelModel;
let channel: Channel;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

async function open(): Promise<ChannelModel> {
  const opened = await connect(`amqp://127.0.0.1:${server.port}`);
  opened.on('error', () => {});
  return opened;
}

beforeEach(async () => {
  connection = await open();
  other = await open();
  channel = await connection.createChannel();
  channel.on('error', () => {});
  await channel.assertQueue('q', { durable: true });
  await channel.assertExchange('x', 'topic');
});
afterEach(async () => {
  for (const one of [connection, other]) await one.close().catch(() => {});
  const cleaner = await open();
  const cleaning = await cleaner.createChannel();
  await cleaning.deleteQueue('q');
  await cleaning.deleteExchange('x');
  await cleaner.close();
});

/** The text that the server closed with. */
async function refusal(operation: (on: Channel) => Promise<unknown>, by = connection): Promise<string> {
  const on = await by.createChannel();
  const closed = new Promise<string>((resolve) => {
    const told = (error: Error): void => resolve(error.message);
    on.once('error', told);
    by.once('error', told);
  });
  await operation(on).catch(() => {});
  return closed;
}

const LOCKED =
  "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q.mine' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.";

/** As measured on RabbitMQ 3.10.8. */
const REFUSED: [what: string, operation: (on: Channel) => Promise<unknown>, text: string][] = [
  ['a passive queue that is missing', (on) => on.checkQueue('no'), "NOT_FOUND - no queue 'no' in vhost '/'"],
  [
    'a passive exchange that is missing',
    (on) => on.checkExchange('no'),
    "NOT_FOUND - no exchange 'no' in vhost '/'",
  ],
  [
    'a queue that is not as durable',
    (on) => on.assertQueue('q', { durable: false }),
    "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'",
  ],
  [
    'a queue that is not as auto-delete',
    (on) => on.assertQueue('q', { autoDelete: true }),
    "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'",
  ],
  [
    'a reserved queue name',
    (on) => on.assertQueue('amq.probe'),
    "ACCESS_REFUSED - queue name 'amq.probe' contains reserved prefix 'amq.*'",
  ],
  [
    'a reserved exchange name',
    (on) => on.assertExchange('amq.probe', 'topic'),
    "ACCESS_REFUSED - exchange name 'amq.probe' contains reserved prefix 'amq.*'",
  ],
  [
    'an exchange of another type',
    (on) => on.assertExchange('x', 'fanout'),
    "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'topic'",
  ],
  [
    'an unknown exchange type',
    (on) => on.assertExchange('y', 'foo'),
    "COMMAND_INVALID - invalid exchange type 'foo'",
  ],
  [
    'deleting amq.topic',
    (on) => on.deleteExchange('amq.topic'),
    "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed",
  ],
  [
    'deleting the default exchange',
    (on) => on.deleteExchange(''),
    'ACCESS_REFUSED - operation not permitted on the default exchange',
  ],
  [
    'binding to the default exchange',
    (on) => on.bindQueue('q', '', 'k'),
    'ACCESS_REFUSED - operation not permitted on the default exchange',
  ],
  [
    'binding a queue that is missing',
    (on) => on.bindQueue('no', 'x', 'k'),
    "NOT_FOUND - no queue 'no' in vhost '/'",
  ],
  [
    'binding to an exchange that is missing',
    (on) => on.bindQueue('q', 'no', 'k'),
    "NOT_FOUND - no exchange 'no' in vhost '/'",
  ],
  [
    'consuming a queue that is missing',
    (on) => on.consume('no', () => {}),
    "NOT_FOUND - no queue 'no' in vhost '/'",
  ],
  ['getting from a queue that is missing', (on) => on.get('no'), "NOT_FOUND - no queue 'no' in vhost '/'"],
  ['purging a queue that is missing', (on) => on.purgeQueue('no'), "NOT_FOUND - no queue 'no' in vhost '/'"],
  [
    'publishing to an exchange that is missing',
    async (on) => on.publish('no', 'k', Buffer.alloc(0)),
    "NOT_FOUND - no exchange 'no' in vhost '/'",
  ],
  [
    'a wrong expiration',
    async (on) => on.sendToQueue('q', Buffer.alloc(0), { expiration: 'abc' }),
    "PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
  ],
  [
    'a negative expiration',
    async (on) => on.sendToQueue('q', Buffer.alloc(0), { expiration: '-1' }),
    "PRECONDITION_FAILED - invalid expiration '-1': {value_negative,-1}",
  ],
  [
    'the user id of another',
    async (on) => on.sendToQueue('q', Buffer.alloc(0), { userId: 'other' }),
    "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
  ],
  [
    'an unknown queue type',
    (on) => on.assertQueue('z', { arguments: { 'x-queue-type': 'foo' } }),
    `PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'z' in vhost '/': "unsupported queue type 'foo'"`,
  ],
];

/** What RabbitMQ has, and we do not: refused, never ignored. */
const NOT_IMPLEMENTED: [what: string, operation: (on: Channel) => Promise<unknown>, text: string][] = [
  [
    'a consumer timeout',
    (on) => on.assertQueue('z', { arguments: { 'x-consumer-timeout': 1000 } }),
    "argument 'x-consumer-timeout' of queue 'z' in vhost '/' is not implemented",
  ],
  [
    'a stream',
    (on) => on.assertQueue('z', { arguments: { 'x-queue-type': 'stream' } }),
    "x-queue-type 'stream' of queue 'z' in vhost '/' is not implemented",
  ],
  [
    'a place in a stream to consume from',
    (on) => on.consume('q', () => {}, { arguments: { 'x-stream-offset': 'first' } }),
    "argument 'x-stream-offset' of a consumer of queue 'q' is not implemented",
  ],
];

describe('refused as RabbitMQ does:', () => {
  it.each(REFUSED)('%s', async (_, operation, text) => {
    expect(await refusal(operation)).toContain(text);
  });

  it("another connection's exclusive queue", async () => {
    await channel.assertQueue('q.mine', { exclusive: true });
    expect(await refusal((on) => on.assertQueue('q.mine'), other)).toContain(LOCKED);
    expect(await refusal((on) => on.consume('q.mine', () => {}), other)).toContain(LOCKED);
    expect(await refusal((on) => on.deleteQueue('q.mine'), other)).toContain(LOCKED);
  });

  it('deleting what is in use, or not empty, on that condition', async () => {
    channel.sendToQueue('q', Buffer.from('1'));
    await channel.checkQueue('q');
    expect(await refusal((on) => on.deleteQueue('q', { ifEmpty: true }))).toContain(
      "queue 'q' in vhost '/' not empty",
    );
    await channel.bindQueue('q', 'x', 'k');
    expect(await refusal((on) => on.deleteExchange('x', { ifUnused: true }))).toContain(
      "exchange 'x' in vhost '/' in use",
    );
  });

  it('consuming beside an exclusive consumer, and a tag that is in use', async () => {
    await channel.consume('q', () => {}, { exclusive: true });
    expect(await refusal((on) => on.consume('q', () => {}))).toContain(
      "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use",
    );
    await channel.assertQueue('q.two', { exclusive: true });
    await channel.consume('q.two', () => {}, { consumerTag: 't' });
    const closed = new Promise<Error>((resolve) => connection.once('error', resolve));
    channel.consume('q.two', () => {}, { consumerTag: 't' }).catch(() => {});
    expect((await closed).message).toContain("NOT_ALLOWED - attempt to reuse consumer tag 't'");
  });

  it('settling what was not delivered', async () => {
    const message = (deliveryTag: number): ConsumeMessage => ({ fields: { deliveryTag } }) as ConsumeMessage;
    for (const tag of [0, 999]) {
      const text = `PRECONDITION_FAILED - unknown delivery tag ${tag}`;
      expect(await refusal(async (on) => on.ack(message(tag)))).toContain(text);
      expect(await refusal(async (on) => on.reject(message(tag)))).toContain(text);
    }
    channel.ackAll();
    expect((await channel.checkQueue('q')).queue).toBe('q');
  });
});

describe('refused with 540, since it is not there yet:', () => {
  it.each(NOT_IMPLEMENTED)('%s', async (_, operation, text) => {
    const said = await refusal(operation);
    expect(said).toContain('NOT_IMPLEMENTED - ');
    expect(said).toContain(text);
  });
});

describe('accepted as RabbitMQ does:', () => {
  it('unknown arguments, deleting and unbinding what is missing, cancelling unknown tags', async () => {
    await channel.assertQueue('q.args', {
      exclusive: true,
      arguments: { 'x-unknown': 1, 'x-queue-type': 'classic' },
    });
    expect(await channel.deleteQueue('no')).toEqual({ messageCount: 0 });
    await channel.deleteExchange('no');
    await channel.unbindQueue('no', 'x', 'k');
    await channel.cancel('no');
    await channel.assertExchange('amq.topic', 'topic');
  });

  it('an empty name: for a new queue, then for that queue', async () => {
    const { queue } = await channel.assertQueue('', { exclusive: true });
    expect(queue).toMatch(/^amq\.gen-/);
    await channel.bindQueue('', 'amq.fanout', '');
    channel.publish('amq.fanout', '', Buffer.from('1'));
    expect(await channel.purgeQueue('')).toEqual({ messageCount: 1 });
  });

  it('counts ready messages and consumers', async () => {
    channel.sendToQueue('q', Buffer.from('1'));
    expect(await channel.checkQueue('q')).toEqual({ queue: 'q', messageCount: 1, consumerCount: 0 });
    await new Promise((resolve, reject) => {
      channel.consume('q', resolve).catch(reject);
    });
    expect(await channel.checkQueue('q')).toEqual({ queue: 'q', messageCount: 0, consumerCount: 1 });
  });
});

describe('deliveries', () => {
  async function consume(count: number, options = {}): Promise<ConsumeMessage[]> {
    const got: ConsumeMessage[] = [];
    await new Promise<void>((resolve, reject) => {
      const take = (message: ConsumeMessage | null): void => {
        if (message !== null) got.push(message);
        if (got.length === count) resolve();
      };
      channel.consume('q', take, options).catch(reject);
    });
    return got;
  }
  const bodies = (messages: readonly ConsumeMessage[]): string[] =>
    messages.map(({ content }) => content.toString());

  it('are numbered a channel, stop at the prefetch, and come back redelivered at their place', async () => {
    for (const body of ['1', '2', '3', '4']) channel.sendToQueue('q', Buffer.from(body));
    await channel.prefetch(2);
    const got = await consume(2);
    expect(got.map(({ fields }) => fields.deliveryTag)).toEqual([1, 2]);
    expect((await channel.checkQueue('q')).messageCount).toBe(2);
    await channel.close();
    channel = await other.createChannel();
    const again = await consume(4);
    expect(bodies(again)).toEqual(['1', '2', '3', '4']);
    expect(again.map(({ fields }) => fields.redelivered)).toEqual([true, true, false, false]);
  });

  it("of all a channel's consumers stop at the channel's prefetch; what is got does not count", async () => {
    for (const body of ['1', '2', '3']) channel.sendToQueue('q', Buffer.from(body));
    await channel.prefetch(1, true);
    const [first] = await consume(1);
    await channel.consume('q', () => {});
    const got = await channel.get('q');
    expect(got && got.content.toString()).toBe('2');
    expect((await channel.checkQueue('q')).messageCount).toBe(1);
    channel.ack(first as ConsumeMessage);
    expect((await channel.checkQueue('q')).queue).toBe('q');
  });

  it('are settled up to one, and rejected back or away', async () => {
    for (const body of ['1', '2', '3', '4']) channel.sendToQueue('q', Buffer.from(body));
    const got = await consume(4);
    channel.ack(got[1] as ConsumeMessage, true);
    channel.nack(got[3] as ConsumeMessage, false, false);
    await channel.recover();
    await channel.close();
    channel = await connection.createChannel();
    expect((await channel.checkQueue('q')).messageCount).toBe(1);
  });

  it('end with the queue, and the client is told', async () => {
    const cancelled = new Promise((resolve, reject) => {
      channel.consume('q', (message) => message === null && resolve('cancelled')).catch(reject);
    });
    await channel.checkQueue('q');
    const deleting = await other.createChannel();
    await deleting.deleteQueue('q');
    expect(await cancelled).toBe('cancelled');
  });

  it('whose own channel deletes the queue end after the answer', async () => {
    const client = await ScriptedClient.open(server.port, ['consumer_cancel_notify']);
    const names = [shortString('q'), shortString('c')];
    client.send(method(1, 60, 20, short(0), ...names, Buffer.alloc(5)));
    client.send(method(1, 50, 40, short(0), shortString('q'), Buffer.from([0])));
    const methods: string[] = [];
    for (let i = 0; i < 3; i++) {
      const payload = (await client.next())?.payload;
      methods.push(`${payload?.readUInt16BE(0)}.${payload?.readUInt16BE(2)}`);
    }
    // consume-ok, delete-ok, cancel.
    expect(methods).toEqual(['60.21', '50.41', '60.30']);
    client.socket.destroy();
  });

  it('of large bodies come whole, in frames as agreed', async () => {
    const body = Buffer.alloc(1_000_000, 'nestmq');
    const small = await connect(`amqp://127.0.0.1:${server.port}?frameMax=4096`);
    const publisher = await small.createConfirmChannel();
    publisher.sendToQueue('q', body);
    await publisher.waitForConfirms();
    expect((await consume(1))[0]?.content.equals(body)).toBe(true);
    await small.close();
  });
});

it('a client that comes when the engine was closed is turned away', async () => {
  const closed = await startServer();
  await closed.broker.close();
  await expect(connect(`amqp://127.0.0.1:${closed.port}`)).rejects.toThrow(/closed|ECONNRESET/);
  await closed.close();
});

describe('publishing', () => {
  it('on a channel that is closed then is not confirmed after that', async () => {
    const confirming = await connection.createConfirmChannel();
    for (let i = 0; i < 100; i++) confirming.publish('', 'nowhere', Buffer.from('1'));
    await confirming.close();
    // A frame for a channel that is closed would end the connection.
    expect((await channel.checkQueue('q')).queue).toBe('q');
  });

  it('is confirmed, unroutable or not, after the return', async () => {
    const confirming = await connection.createConfirmChannel();
    const events: string[] = [];
    confirming.on('return', ({ fields }) => events.push(JSON.stringify(fields)));
    await new Promise<void>((resolve) => {
      confirming.publish('', 'nowhere', Buffer.from('1'), { mandatory: true }, () => {
        events.push('confirmed');
        resolve();
      });
    });
    for (let i = 0; i < 1000; i++) confirming.sendToQueue('q', Buffer.from(`${i}`));
    await confirming.waitForConfirms();
    expect(events).toEqual([expect.stringContaining('"replyCode":312,"replyText":"NO_ROUTE"'), 'confirmed']);
    expect((await channel.checkQueue('q')).messageCount).toBe(1000);
  });
});
