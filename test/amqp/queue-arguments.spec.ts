import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect, type Options } from 'amqplib';
import type { Server } from '@nestmq/broker';
import { startServer } from './server.js';

let server: Server;
let connection: ChannelModel;

beforeAll(async () => {
  server = await startServer();
  connection = await connect(`amqp://127.0.0.1:${server.port}`);
});
afterAll(async () => {
  await connection.close();
  await server.close();
});

/** The text that the channel was closed with. */
async function refusal(operation: (on: Channel) => Promise<unknown>): Promise<string> {
  const on = await connection.createChannel();
  const closed = new Promise<string>((resolve) => {
    on.once('error', (error: Error) => resolve(error.message));
  });
  await operation(on).catch(() => {});
  return closed;
}

const quorum = { 'x-queue-type': 'quorum' };
const AT = "for queue 'z' in vhost '/'";

/** As measured on RabbitMQ 3.10.8. */
const INVALID: [args: object, text: string, options?: Options.AssertQueue][] = [
  [{ 'x-message-ttl': -1 }, `invalid arg 'x-message-ttl' ${AT}: {value_negative,-1}`],
  [{ 'x-message-ttl': 'a' }, `invalid arg 'x-message-ttl' ${AT}: "expected integer, got longstr"`],
  [{ 'x-message-ttl': 315_360_000_001 }, `invalid arg 'x-message-ttl' ${AT}: {value_too_large,315360000001}`],
  [{ 'x-expires': 0, 'x-message-ttl': -1 }, `invalid arg 'x-expires' ${AT}: {value_zero,0}`],
  [{ 'x-expires': -1 }, `invalid arg 'x-expires' ${AT}: {value_negative,-1}`],
  [{ 'x-max-length': 1.5 }, `invalid arg 'x-max-length' ${AT}: "expected integer, got double"`],
  [{ 'x-max-priority': 256 }, `invalid arg 'x-max-priority' ${AT}: {max_value_exceeded,256}`],
  [{ 'x-overflow': 'bad' }, `invalid arg 'x-overflow' ${AT}: invalid_overflow`],
  [{ 'x-overflow': 5 }, `invalid arg 'x-overflow' ${AT}: {unacceptable_type,byte}`],
  [{ 'x-queue-type': 'foo' }, `invalid arg 'x-queue-type' ${AT}: "unsupported queue type 'foo'"`],
  [{ 'x-queue-mode': 'x' }, `invalid arg 'x-queue-mode' ${AT}: "unsupported queue mode 'x'"`],
  [{ 'x-queue-version': 9 }, `invalid arg 'x-queue-version' ${AT}: "unsupported queue version '9'"`],
  [
    { 'x-dead-letter-routing-key': 'k' },
    `invalid arg 'x-dead-letter-routing-key' ${AT}: routing_key_but_no_dlx_defined`,
  ],
  [
    { 'x-dead-letter-exchange': 5 },
    "invalid type 'byte' for arg 'x-dead-letter-exchange' in queue 'z' in vhost '/'",
  ],
  [
    { 'x-single-active-consumer': 'yes' },
    `invalid arg 'x-single-active-consumer' ${AT}: {unacceptable_type,longstr}`,
  ],
  [{ 'x-delivery-limit': 3 }, `invalid arg 'x-delivery-limit' ${AT} of queue type rabbit_classic_queue`],
  [
    { ...quorum, 'x-max-priority': 3 },
    `invalid arg 'x-max-priority' ${AT} of queue type rabbit_quorum_queue`,
  ],
  [
    { ...quorum, 'x-dead-letter-strategy': 'zz' },
    `invalid arg 'x-dead-letter-strategy' ${AT}: invalid_dlx_strategy`,
  ],
  [quorum, `invalid property 'non-durable' ${AT}`, { durable: false }],
  [quorum, `invalid property 'exclusive-owner' ${AT}`, { exclusive: true }],
  [quorum, `invalid property 'auto-delete' ${AT}`, { autoDelete: true }],
];

describe('arguments of queue.declare', () => {
  it.each(INVALID)('%j are refused: %s', async (args, text, options = {}) => {
    const said = await refusal((on) => on.assertQueue('z', { ...options, arguments: args }));
    expect(said).toContain(`PRECONDITION_FAILED - ${text}`);
  });

  it.each([
    [{}, { messageTtl: 1000 }, 'x-message-ttl', "the value '1000' of type 'short' but current is none"],
    [{ maxLength: 5 }, {}, 'x-max-length', "none but current is the value '5' of type 'byte'"],
    [{ maxLength: 5 }, { maxLength: 6 }, 'x-max-length', "'6' but current is '5'"],
    [{}, { arguments: quorum }, 'x-queue-type', "the value 'quorum' of type 'longstr' but current is none"],
  ])('%j are not %j', async (first, second, name, text) => {
    const channel = await connection.createChannel();
    const queue = 'redeclared';
    await channel.assertQueue(queue, first);
    const said = await refusal((on) => on.assertQueue(queue, second));
    expect(said).toContain(
      `PRECONDITION_FAILED - inequivalent arg '${name}' for queue '${queue}' in vhost '/': received ${text}`,
    );
    await channel.deleteQueue(queue);
    await channel.close();
  });

  it('are equal as numbers of any type, and where they mean nothing', async () => {
    const channel = await connection.createChannel();
    const queue = 'declared twice';
    await channel.assertQueue(queue, { messageTtl: 1000, arguments: { 'x-mine': 1 } });
    const long = { '!': 'long', value: 1000 };
    const again = { 'x-message-ttl': long, 'x-mine': 2, 'x-queue-type': 'classic' };
    expect(await channel.assertQueue(queue, { arguments: again })).toMatchObject({ queue });
    await channel.close();
  });

  it('of a consumer: its priority is an integer', async () => {
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('');
    const said = await refusal((on) => on.consume(queue, () => {}, { arguments: { 'x-priority': 'a' } }));
    expect(said).toContain(
      `invalid arg 'x-priority' for queue '${queue}' in vhost '/': "expected integer, got longstr"`,
    );
    await channel.close();
  });
});
