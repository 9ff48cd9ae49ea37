import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { decode, encode } from '@msgpack/msgpack';
import type { Message, MessageProperties } from '@nestmq/broker';
import { TestBroker } from '@nestmq/testing';
import { type Link, type QueueCodec, type QueueEncryption, type QueueOptions } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

const msgpack: QueueCodec = {
  contentType: 'application/msgpack',
  encode: (data) => encode(data),
  decode: (body) => decode(body),
};

const key = randomBytes(32);
const aes256gcm: QueueEncryption = {
  encoding: 'aes256gcm',
  encrypt: (body) => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const encrypted = Buffer.concat([cipher.update(body), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]);
  },
  decrypt: (body) => {
    const cipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, 12));
    cipher.setAuthTag(body.subarray(12, 28));
    return Buffer.concat([cipher.update(body.subarray(28)), cipher.final()]);
  },
};

const events = new Collector<unknown>();

@Controller()
class Echo {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }
  @EventPattern('order.placed')
  placed(@Payload() data: unknown): void {
    events.add(data);
  }
}

describe('messages of a service', () => {
  let broker: TestBroker;
  let started: StartedApp;
  let link: Link;
  const start = async (options: Partial<QueueOptions> = {}): Promise<void> => {
    started = await startApp({ url: broker.url, queue: 'orders', ...options }, { controllers: [Echo] });
    link = started.server.unwrap<Link>();
  };
  const publish = (properties: MessageProperties, body: Buffer, exchange = 'nestmq.events'): void =>
    link.publish(
      { exchange, routingKey: exchange === 'nestmq.events' ? 'order.placed' : 'echo', properties, body },
      () => {},
    );
  beforeEach(async () => {
    events.items.length = 0;
    broker = await TestBroker.start();
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });

  /** What lay in the queue of another one who listens, and what the handler got and answered. */
  async function sentAndEchoed(
    data: unknown,
  ): Promise<{ message: Message; event: unknown; answer: unknown }> {
    await link.declareQueue('audit');
    await link.bindQueue('audit', 'nestmq.events', '#');
    await firstValueFrom(started.client.emit('order.placed', data));
    const [event] = await events.until(1);
    const answer = await firstValueFrom(started.client.send('echo', data));
    const [message] = await link.peek('audit', 1);
    return { message: message as Message, event, answer };
  }

  it.each<[string, Partial<QueueOptions>, unknown, MessageProperties]>([
    ['bytes, as they are', {}, Buffer.from([0, 1, 255]), { contentType: 'application/octet-stream' }],
    ['a string', {}, 'text', { contentType: 'application/json' }],
    [
      'MessagePack, with what JSON has not',
      { codec: msgpack },
      { bytes: Buffer.from([1, 2]), at: new Date(5), none: NaN },
      { contentType: 'application/msgpack' },
    ],
    [
      'compressed',
      { compression: { encoding: 'br', threshold: 10 } },
      'long '.repeat(500),
      { contentType: 'application/json', contentEncoding: 'br' },
    ],
    [
      'compressed and encrypted',
      { compression: { encoding: 'gzip' }, encryption: { ...aes256gcm, required: true } },
      'long '.repeat(500),
      { contentType: 'application/json', contentEncoding: 'gzip, aes256gcm' },
    ],
  ])('go out and come in: %s', async (_what, options, data, properties) => {
    await start(options);
    const { message, event, answer } = await sentAndEchoed(data);
    expect(message.properties).toMatchObject(properties);
    expect(event).toEqual(data);
    expect(answer).toEqual(data);
    if (properties.contentEncoding !== undefined) expect(message.body.includes('long ')).toBe(false);
  });

  it('pass the serializer and the deserializer that Nest’s options name, on both sides', async () => {
    const calls: string[] = [];
    await start({
      serializer: {
        serialize: async (packet) => {
          calls.push(`out ${Object.keys(packet).join(' ')}`);
          return packet as unknown;
        },
      },
      deserializer: {
        deserialize: (packet, options) => {
          calls.push(
            `in ${Object.keys(packet as object).join(' ')} ${String(options?.['channel'] ?? '')}`.trim(),
          );
          return packet as never;
        },
      },
    });
    expect(await firstValueFrom(started.client.send('echo', { a: 1 }))).toEqual({ a: 1 });
    await firstValueFrom(started.client.emit('order.placed', { b: 2 }));
    expect(await events.until(1)).toEqual([{ b: 2 }]);
    expect(calls).toEqual([
      'out pattern data',
      'in pattern data id echo',
      'out response isDisposed',
      'in id response isDisposed',
      'out pattern data',
      'in pattern data order.placed',
    ]);
  });

  it.each<[string, MessageProperties, Buffer, unknown]>([
    ['text', { contentType: 'text/plain; charset=utf-8' }, Buffer.from('hello'), 'hello'],
    ['bytes', { contentType: 'application/octet-stream' }, Buffer.from([9]), Buffer.from([9])],
    ['gzip of a client elsewhere', { contentEncoding: 'gzip' }, gzipSync('{"a":1}'), { a: 1 }],
    ['JSON of a client in Python', { contentEncoding: 'utf-8' }, Buffer.from('{"a":1}'), { a: 1 }],
    ['MessagePack', { contentType: 'application/msgpack' }, Buffer.from(encode({ a: 1 })), { a: 1 }],
  ])('of other producers are understood: %s', async (_what, properties, body, data) => {
    await start({ codecs: [msgpack] });
    publish(properties, body);
    expect(await events.until(1)).toEqual([data]);
  });

  it.each<[string, Partial<QueueOptions>, MessageProperties, Buffer, RegExp]>([
    ['unknown', {}, { contentType: 'application/x-protobuf' }, Buffer.from('x'), /no codec here reads/],
    ['wrongly compressed', {}, { contentEncoding: 'gzip' }, Buffer.from('{}'), /is not 'gzip'/],
    ['wrongly encoded', {}, {}, Buffer.from([0x22, 0xff, 0x22]), /it is not UTF-8/],
    [
      'a bomb',
      { maxDecompressedBytes: 1_000_000 },
      { contentEncoding: 'gzip' },
      gzipSync(Buffer.alloc(1_000_001)),
      /more than 1000000 bytes/,
    ],
    [
      'not encrypted',
      { encryption: { ...aes256gcm, required: true } },
      {},
      Buffer.from('1'),
      /not encrypted/,
    ],
    [
      'encrypted by another key',
      { encryption: aes256gcm },
      { contentEncoding: 'aes256gcm' },
      randomBytes(60),
      /decrypted/,
    ],
  ])(
    'that can not be read are dead-lettered, or answered with why: %s',
    async (_what, options, properties, body, why) => {
      await start(options);
      publish(properties, body);
      const [letter] = await broker.take('orders.dead', 1);
      expect(letter?.message.body).toEqual(body);
      expect(letter?.message.properties).toMatchObject(properties);
      expect(letter?.message.properties.headers).toMatchObject({
        'x-nestmq-reason': 'unreadable',
        'x-nestmq-error-name': 'UnreadableBodyException',
        'x-nestmq-error-message': expect.stringMatching(why),
      });
      const replyTo = await link.declareOwnQueue();
      const replied = new Collector<Message>();
      await link.consume(replyTo, {
        prefetchCount: 0,
        noAck: true,
        onCancel: () => {},
        onDelivery: ({ message }) => replied.add(message),
      });
      publish({ ...properties, replyTo, correlationId: '7' }, body, 'nestmq.requests');
      const [reply] = await replied.until(1);
      expect(reply?.properties).toMatchObject({ type: 'error', correlationId: '7' });
      expect(events.items).toEqual([]);
    },
  );
});
