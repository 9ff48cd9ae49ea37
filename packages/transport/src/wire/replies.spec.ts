import { describe, expect, it } from '@jest/globals';
import { RpcException } from '@nestjs/microservices';
import type { Message } from '@nestmq/broker';
import { RemoteException } from '../queue.exceptions.js';
import { errorToSend } from './errors.js';
import { readReply, replyMessages } from './replies.js';
import { normaliseWireOptions, type WireOptions } from './wire-options.js';
import { Wire } from './wire.js';

const wire = new Wire();

describe('a reply', () => {
  const request = { properties: { replyTo: 'answers', correlationId: '7' } };

  it.each<[object, string, string]>([
    [{ response: 6 }, 'value', '6'],
    [{ response: 6, isDisposed: true }, 'last', '6'],
    [{ isDisposed: true }, 'end', ''],
    [{ err: { code: 'X' }, isDisposed: true }, 'error', '{"code":"X"}'],
    [{ err: null }, 'error', 'null'],
  ])('%j says what it is by its type', async (reply, type, body) => {
    const [only, ...others] = await replyMessages(request, 'nestmq', reply, wire);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ exchange: '', routingKey: 'answers' });
    expect(only?.properties).toEqual({ contentType: 'application/json', type, correlationId: '7' });
    expect(only?.body.toString()).toBe(body);
  });

  it.each<[object, string]>([
    [{ response: 6 }, '{"response":6}'],
    [{ response: 6, isDisposed: true }, '{"response":6,"isDisposed":true}'],
    [{ isDisposed: true }, '{"isDisposed":true}'],
    [{ err: { code: 'X' }, isDisposed: true }, '{"isDisposed":true,"err":{"code":"X"}}'],
    [
      { err: new TypeError('no'), isDisposed: true },
      '{"isDisposed":true,"err":{"name":"TypeError","message":"no"}}',
    ],
  ])('%j to Nest is a packet', async (reply, body) => {
    const [only] = await replyMessages(request, 'nest-rmq', reply, wire);
    expect(only?.properties).toEqual({ correlationId: '7' });
    expect(only?.body.toString()).toBe(body);
  });

  it('is none when nobody asked for it', async () => {
    expect(await replyMessages({ properties: {} }, 'nestmq', { response: 1 }, wire)).toEqual([]);
    expect(await replyMessages({ properties: {} }, 'nest-rmq', { response: 1 }, wire)).toEqual([]);
  });

  it('that JSON can not hold is refused', () => {
    for (const format of ['nestmq', 'nest-rmq'] as const)
      expect(() => replyMessages(request, format, { response: 1n }, wire)).toThrow('BigInt');
  });
});

const request = { properties: { replyTo: 'answers', correlationId: '7' } };

/** To the caller and back. */
async function roundTrip(reply: object, format: 'nestmq' | 'nest-rmq' = 'nestmq', by = wire) {
  const [message] = await replyMessages(request, format, reply, by);
  return readReply(message as Message, format, by);
}

describe('a reply that comes', () => {
  it.each<[object, object]>([
    [{ response: 6 }, { response: 6 }],
    [
      { response: null, isDisposed: true },
      { response: null, isDisposed: true },
    ],
    [{ isDisposed: true }, { isDisposed: true }],
    [{ err: { code: 'X' } }, { err: { code: 'X' }, isDisposed: true }],
    [{ err: 'text' }, { err: 'text', isDisposed: true }],
  ])('is what was sent: %j', async (reply, received) => {
    expect(await roundTrip(reply)).toEqual(received);
    expect(await roundTrip(reply, 'nest-rmq')).toMatchObject(received);
  });

  it('of a client in another language, without a type, is the last value', async () => {
    const plain = { exchange: '', routingKey: 'answers', properties: {}, body: Buffer.from('[1]') };
    expect(await readReply(plain, 'nestmq', wire)).toEqual({ response: [1], isDisposed: true });
    expect(await readReply(plain, 'nest-rmq', wire)).toEqual({ response: [1], isDisposed: true });
  });
});

class OrderError extends Error {
  readonly code = 'NO_STOCK';
  readonly retryable = false;
  readonly data = { sku: 'BOOK-17', left: [0] };
  readonly socket = { secret: 'not to be sent' };
}

class OutOfFunds extends RpcException {
  constructor(readonly balance: number) {
    super('out of funds');
  }
}

describe('an error across the wire', () => {
  const errorOf = async (err: unknown): Promise<RemoteException> =>
    (await roundTrip({ err })).err as RemoteException;

  it('that is an Error is one again, with its class name, message, code and data, and no more than plain fields', async () => {
    const error = await errorOf(new OrderError('sold out'));
    expect(error).toBeInstanceOf(RemoteException);
    expect(error).toMatchObject({ name: 'OrderError', message: 'sold out', code: 'NO_STOCK' });
    expect(error.data).toEqual({ sku: 'BOOK-17', left: [0] });
    const { details } = error;
    const fields = { name: 'OrderError', message: 'sold out', code: 'NO_STOCK', retryable: false };
    expect(details).toEqual({ ...fields, data: error.data });
  });

  it('goes on from service to service as it is', async () => {
    const first = await errorOf(new OrderError('sold out'));
    const second = await errorOf(first.getError());
    expect(second).toMatchObject({ name: 'OrderError', message: 'sold out', code: 'NO_STOCK' });
    expect(second.details).toEqual(first.details);
  });

  it('that is an RpcException of an application’s own class keeps it; others are what Nest made of them', async () => {
    const scrubbed = { status: 'error', message: 'Internal server error' };
    const own = await errorOf(errorToSend(scrubbed, new OutOfFunds(5)));
    expect(own).toMatchObject({ name: 'OutOfFunds', message: 'out of funds' });
    expect(own.details).toEqual({ name: 'OutOfFunds', message: 'out of funds', balance: 5 });
    for (const thrown of [new Error('a secret'), new RpcException('x'), new TypeError('x'), 'x', undefined])
      expect(errorToSend(scrubbed, thrown)).toBe(scrubbed);
  });

  it('may have been made to break its receiver', async () => {
    const hostile = Object.assign(new Error('x'), JSON.parse('{"__proto__":"y","stack":5,"getError":"no"}'));
    const error = await errorOf(hostile);
    expect(error).toBeInstanceOf(RemoteException);
    expect(error.getError()).toBe(error);
    const body = Buffer.from('{"__proto__":{"a":1},"message":{}}');
    const headers = { 'x-nestmq-error-name': 'Evil' };
    const reply = { exchange: '', routingKey: '', properties: { type: 'error', headers }, body };
    const { err } = await readReply(reply, 'nestmq', wire);
    expect(err).toMatchObject({ name: 'Evil', message: '', code: undefined });
    expect(err).toBeInstanceOf(RemoteException);
  });

  it('that is nothing is an error nevertheless', async () => {
    for (const err of [null, '', 0, false])
      expect((await errorOf(err)).message).toBe(`The handler failed with ${String(err)}.`);
  });

  it('to Nest is a plain object with name and message', async () => {
    const { err } = await roundTrip({ err: new OrderError('sold out') }, 'nest-rmq');
    expect(err).toMatchObject({ name: 'OrderError', message: 'sold out', code: 'NO_STOCK' });
  });
});

describe('a serializer of answers', () => {
  const wireOf = (options: WireOptions): Wire => new Wire(normaliseWireOptions(options));
  const shouting = wireOf({
    serializer: { serialize: async (packet) => ({ ...packet, response: `${packet.response}!` }) },
    deserializer: { deserialize: async (packet) => ({ ...packet, response: `${packet.response}?` }) },
  });

  it('and a deserializer see each answer as Nest’s do', async () => {
    expect(await roundTrip({ response: 'a' }, 'nestmq', shouting)).toEqual({ response: 'a!?' });
    expect(await roundTrip({ response: 'a' }, 'nest-rmq', shouting)).toEqual({ response: 'a!?' });
  });

  it('that returns no packet, or fails, is told', async () => {
    const bare = wireOf({ serializer: { serialize: ({ response }) => response as unknown } });
    await expect(roundTrip({ response: 'a' }, 'nestmq', bare)).rejects.toThrow(
      "The 'serializer' returned no packet",
    );
    const failing = wireOf({
      deserializer: {
        deserialize: () => {
          throw new Error('no');
        },
      },
    });
    await expect(roundTrip({ response: 'a' }, 'nestmq', failing)).rejects.toThrow(
      'The deserializer failed: no.',
    );
  });
});
