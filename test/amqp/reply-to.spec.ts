import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { Server } from '@nestmq/broker';
import { channelOf, clientOf, refusalOf, returnedOf } from './client.js';
import { startServer } from './server.js';

const REPLY_TO = 'amq.rabbitmq.reply-to';
const NO_ACK = { noAck: true };

let server: Server;
let requester: ChannelModel;
let responder: ChannelModel;
let requests: Channel;
let answers: Channel;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

beforeEach(async () => {
  [requester, responder] = [await clientOf(server.port), await clientOf(server.port)];
  [requests, answers] = [await channelOf(requester), await channelOf(responder)];
  await answers.assertQueue('service', { durable: false });
  await answers.purgeQueue('service');
});
afterEach(async () => {
  for (const one of [requester, responder]) await one.close().catch(() => {});
});

/** Sends a request on a channel that takes replies; returns where the responder is told to reply. */
async function replyNameOf(on: Channel): Promise<string> {
  on.sendToQueue('service', Buffer.from('request'), {
    replyTo: REPLY_TO,
    correlationId: 'c',
    messageId: 'm',
  });
  await on.checkExchange('amq.topic');
  const request = await answers.get('service', NO_ACK);
  if (request === false) throw new Error('there is no request');
  expect(request.properties).toMatchObject({ correlationId: 'c', messageId: 'm' });
  return String(request.properties.replyTo);
}

describe('direct reply-to', () => {
  it('brings a reply from another connection to the channel that asked', async () => {
    const replies: ConsumeMessage[] = [];
    const reply = new Promise<ConsumeMessage>((resolve) => {
      const take = (message: ConsumeMessage | null): void => {
        if (message !== null) replies.push(message);
        if (replies.length === 2) resolve(replies[1] as ConsumeMessage);
      };
      void requests.consume(REPLY_TO, take, NO_ACK);
    });
    const name = await replyNameOf(requests);
    expect(name.startsWith(`${REPLY_TO}.`)).toBe(true);
    for (const declared of [name, REPLY_TO]) {
      const state = { queue: declared, messageCount: 0, consumerCount: 1 };
      expect(await answers.checkQueue(declared)).toEqual(state);
      expect(await answers.assertQueue(declared)).toEqual(state);
    }
    answers.sendToQueue(name, Buffer.from('first'), { correlationId: '1' });
    answers.sendToQueue(name, Buffer.alloc(200_000, 'x'), { correlationId: '2' });
    const { content, fields, properties } = await reply;
    expect([replies[0]?.content.toString(), content.length]).toEqual(['first', 200_000]);
    expect(fields).toMatchObject({ exchange: '', routingKey: name, deliveryTag: 2, redelivered: false });
    expect(properties.correlationId).toBe('2');
  });

  it('returns a mandatory reply when the requester is gone, and not before', async () => {
    const { consumerTag } = await requests.consume(REPLY_TO, () => {}, NO_ACK);
    const name = await replyNameOf(requests);
    expect(await returnedOf(answers, '', name)).toBeUndefined();
    await requests.cancel(consumerTag);
    expect((await returnedOf(answers, '', name))?.fields).toMatchObject({
      replyText: 'NO_ROUTE',
      routingKey: name,
    });
    expect(await refusalOf(responder, (on) => on.checkQueue(name))).toBe(
      `channel NOT_FOUND - no queue '${name}' in vhost '/'`,
    );
    // Who takes replies again takes them under another name; a channel or a connection that ends takes none.
    await requests.consume(REPLY_TO, () => {}, NO_ACK);
    const again = await replyNameOf(requests);
    expect(again).not.toBe(name);
    await requests.close();
    expect(await returnedOf(answers, '', again)).toBeDefined();
    const last = await channelOf(requester);
    await last.consume(REPLY_TO, () => {}, NO_ACK);
    const lastName = await replyNameOf(last);
    await requester.close();
    expect(await returnedOf(answers, '', lastName)).toBeDefined();
  });

  it('is of one channel: another one of the connection has its own', async () => {
    const other = await channelOf(requester);
    for (const one of [requests, other]) await one.consume(REPLY_TO, () => {}, NO_ACK);
    expect(await replyNameOf(requests)).not.toBe(await replyNameOf(other));
  });

  it('leaves other names in reply-to as they are', async () => {
    requests.sendToQueue('service', Buffer.alloc(0), { replyTo: `${REPLY_TO}.other` });
    await requests.checkExchange('amq.topic');
    const request = await answers.get('service', NO_ACK);
    expect(request && request.properties.replyTo).toBe(`${REPLY_TO}.other`);
  });

  const missing = (name: string): string => `channel NOT_FOUND - no queue '${name}' in vhost '/'`;
  /** As measured on RabbitMQ 3.10.8. */
  it.each<[string, (on: Channel) => Promise<unknown> | void, string]>([
    [
      'a consumer that would ack',
      (on) => on.consume(REPLY_TO, () => {}),
      'channel PRECONDITION_FAILED - reply consumer cannot acknowledge',
    ],
    [
      'a second consumer',
      async (on) => {
        await on.consume(REPLY_TO, () => {}, NO_ACK);
        await on.consume(REPLY_TO, () => {}, NO_ACK);
      },
      'channel PRECONDITION_FAILED - reply consumer already set',
    ],
    [
      'a request without a consumer',
      (on) => void on.sendToQueue('service', Buffer.alloc(0), { replyTo: REPLY_TO }),
      'channel PRECONDITION_FAILED - fast reply consumer does not exist',
    ],
    [
      'such a request to a missing exchange',
      (on) => void on.publish('no', 'k', Buffer.alloc(0), { replyTo: REPLY_TO }),
      "channel NOT_FOUND - no exchange 'no' in vhost '/'",
    ],
    [
      'a tag that is in use',
      async (on) => {
        await on.consume('service', () => {}, { consumerTag: 't' });
        await on.consume(REPLY_TO, () => {}, { ...NO_ACK, consumerTag: 't' });
      },
      "connection NOT_ALLOWED - attempt to reuse consumer tag 't'",
    ],
    [
      'declaring a requester that is not there',
      (on) => on.assertQueue(`${REPLY_TO}.no`),
      missing(`${REPLY_TO}.no`),
    ],
    ['getting from it', (on) => on.get(REPLY_TO), missing(REPLY_TO)],
    ['binding it', (on) => on.bindQueue(REPLY_TO, 'amq.topic', 'k'), missing(REPLY_TO)],
  ])('refuses %s', async (_, operation, text) => {
    expect(await refusalOf(requester, operation)).toBe(text);
  });
});
