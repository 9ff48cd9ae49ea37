import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import type { MessageProperties } from '@nestmq/broker';
import type { QueueCodec } from './codec.js';
import { type CompressionEncoding } from './compression.js';
import { type QueueEncryption, normaliseWireOptions, type WireOptions } from './wire-options.js';
import type { Encoded } from '../envelope.js';
import { Wire } from './wire.js';

const wireOf = (options: WireOptions = {}): Wire => new Wire(normaliseWireOptions(options));
const read = async (body: Buffer | string, properties: MessageProperties = {}, wire = wireOf()) =>
  wire.decode({ body: Buffer.from(body), properties });

const hasZstd = 'zstdCompress' in zlib;
const ENCODINGS: CompressionEncoding[] = ['gzip', 'br'];
const text = 'durable '.repeat(1000);

/** A codec that is no JSON: the decimal digits of a bigint. */
const bigints: QueueCodec = {
  contentType: 'application/x-bigint',
  encode: (data) => Buffer.from(String(data)),
  decode: (body) => BigInt(body.toString()),
};

/** The nonce and the tag go before the text; the content type is bound to it. */
function aes256gcm(key: Buffer): QueueEncryption {
  return {
    encoding: 'aes256gcm',
    encrypt: (body, { contentType = '' }) => {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(contentType));
      const encrypted = Buffer.concat([cipher.update(body), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), encrypted]);
    },
    decrypt: async (body, { contentType = '' }) => {
      const cipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, 12));
      cipher.setAAD(Buffer.from(contentType)).setAuthTag(body.subarray(12, 28));
      return Buffer.concat([cipher.update(body.subarray(28)), cipher.final()]);
    },
  };
}

describe('data on the wire', () => {
  it.each<[string, unknown, string, string]>([
    ['an object', { a: [1, null] }, '{"a":[1,null]}', 'application/json'],
    ['a string', 'x', '"x"', 'application/json'],
    ['an empty string', '', '""', 'application/json'],
    ['null', null, 'null', 'application/json'],
    ['nothing', undefined, '', 'application/json'],
    ['bytes', Buffer.from([0, 255]), '\0\u00ff', 'application/octet-stream'],
    ['no bytes', Buffer.alloc(0), '', 'application/octet-stream'],
  ])('comes back as it went, and is written at once: %s', async (_what, data, body, contentType) => {
    const encoded = wireOf().encode(data) as Encoded;
    expect(encoded.properties).toEqual({ contentType });
    expect(encoded.body.toString('latin1')).toBe(body);
    expect(await read(encoded.body, encoded.properties)).toEqual(data);
  });

  it('is a Buffer when it was any bytes, apart from those of the sender and of the message', async () => {
    const bytes = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
    const { body, properties } = wireOf().encode(bytes) as Encoded;
    bytes[0] = 7;
    const received = (await read(body, properties)) as Buffer;
    expect(Buffer.isBuffer(received)).toBe(true);
    expect([...received]).toEqual([1, 2]);
    received[0] = 8;
    expect([...body]).toEqual([1, 2]);
  });

  it.each<[string, unknown, string]>([
    ['a cycle', Object.assign([], { 0: globalThis }), 'circular'],
    ['a BigInt', 1n, 'BigInt'],
  ])('that JSON can not hold is refused: %s', (_what, data, message) => {
    expect(() => wireOf().encode(data)).toThrow(message);
  });

  it('may be written by another codec, and is read by all that are known', async () => {
    const wire = wireOf({ codec: bigints });
    const { body, properties } = wire.encode(12n) as Encoded;
    expect(properties).toEqual({ contentType: 'application/x-bigint' });
    expect(await read(body, properties, wire)).toBe(12n);
    expect(await read(body, properties, wireOf({ codecs: [bigints] }))).toBe(12n);
    expect(await read('{"a":1}', {}, wire)).toEqual({ a: 1 });
    expect(await read('', properties, wire)).toBeUndefined();
  });
});

describe('a body of another producer', () => {
  it.each<[string | undefined, string, unknown]>([
    [undefined, '{"a":1}', { a: 1 }],
    ['', '5', 5],
    ['application/json', '5', 5],
    ['Application/JSON; charset=utf-8', '"ü"', 'ü'],
    ['application/json', '"\uFFFD"', '\uFFFD'],
    ['application/cloudevents+json', '{}', {}],
    ['text/json', '[]', []],
    ['text/plain', '{"a":1}', '{"a":1}'],
    ['text/csv; header=present', 'a;b', 'a;b'],
    ['text/plain', '', ''],
    ['application/octet-stream', 'ab', Buffer.from('ab')],
    [undefined, '', undefined],
  ])('of content type %s is read by it: %s', async (contentType, body, data) => {
    expect(await read(body, contentType === undefined ? {} : { contentType })).toEqual(data);
  });

  it.each(['utf-8', 'UTF-8', 'binary', 'identity', 'us-ascii', ''])(
    'with a charset as content-encoding is not encoded: %s',
    async (contentEncoding) => {
      expect(await read('{"a":1}', { contentEncoding })).toEqual({ a: 1 });
    },
  );

  it.each<[string, MessageProperties, Buffer | string, RegExp]>([
    ['no JSON', {}, '{', /^The body is not 'application\/json', as it says: .*JSON.* Correct its producer/],
    ['no UTF-8', {}, Buffer.from([0x22, 0xff, 0x22]), /it is not UTF-8/],
    [
      'no UTF-8 text',
      { contentType: 'text/plain' },
      Buffer.from([0xc3]),
      /not 'text\/plain'.*it is not UTF-8/,
    ],
    [
      'an unknown content type',
      { contentType: 'application/x-protobuf; v=1' },
      'x',
      /^The body is 'application\/x-protobuf', which no codec here reads\. Give a codec for it in 'codecs', or send one of: application\/json, application\/octet-stream, text\/\*\.$/,
    ],
    ['an unknown encoding', { contentEncoding: 'compress' }, 'x', /'compress', which is not known.*gzip/],
    [
      'another compression',
      { contentEncoding: 'br' },
      zlib.gzipSync(text),
      /is not 'br', as its content-encoding says/,
    ],
    ['no compression', { contentEncoding: 'gzip' }, '{"a":1}', /is not 'gzip', .* incorrect header check/],
    [
      'a part of it',
      { contentEncoding: 'gzip' },
      zlib.gzipSync(text).subarray(0, 40),
      /unexpected end of file/,
    ],
    ['compressed nothing', { contentEncoding: 'gzip' }, '', /unexpected end of file/],
    [
      'endless encodings',
      { contentEncoding: 'gzip,'.repeat(40) + 'gzip' },
      'x',
      /encoded 41 times\. .* at most 4/,
    ],
  ])('that can not be read is refused with cause and cure: %s', async (_what, properties, body, message) => {
    await expect(read(body, properties)).rejects.toMatchObject({
      name: 'UnreadableBodyException',
      message: expect.stringMatching(message),
    });
  });

  it('in Zstandard is read where Node has it, and else tells which does', async () => {
    const options: WireOptions = { compression: { encoding: 'zstd', threshold: 0 } };
    if (hasZstd) {
      const { body, properties } = await wireOf(options).encode(text);
      expect(properties.contentEncoding).toBe('zstd');
      expect(await read(body, properties)).toBe(text);
    } else {
      await expect(read('x', { contentEncoding: 'zstd' })).rejects.toThrow('Run Node 22.15 or later');
      expect(() => wireOf(options)).toThrow('does not have. Run Node 22.15 or later');
    }
  });
});

describe('compression', () => {
  it.each(ENCODINGS)('of bodies from the threshold on is undone by who reads them: %s', async (encoding) => {
    const wire = wireOf({ compression: { encoding, threshold: 100 } });
    const { body, properties } = await wire.encode(text);
    expect(properties).toEqual({ contentType: 'application/json', contentEncoding: encoding });
    expect(body.length).toBeLessThan(500);
    expect(await read(body, properties)).toBe(text);
    expect(wire.encode('x'.repeat(97))).toMatchObject({ properties: { contentType: 'application/json' } });
    const bytes = Buffer.from(text);
    const binary = await wire.encode(bytes);
    expect(await read(binary.body, binary.properties)).toEqual(bytes);
  });

  it('is left out where it makes a body longer', async () => {
    const wire = wireOf({ compression: { encoding: 'gzip', threshold: 0 } });
    const { body, properties } = await wire.encode('x');
    expect(properties).toEqual({ contentType: 'application/json' });
    expect(body.toString()).toBe('"x"');
  });

  it('of any producer is read: deflate, other names, several at once', async () => {
    const json = JSON.stringify(text);
    expect(await read(zlib.deflateSync(json), { contentEncoding: 'deflate' })).toBe(text);
    expect(await read(zlib.gzipSync(json), { contentEncoding: ' X-GZIP ' })).toBe(text);
    const twice = zlib.brotliCompressSync(zlib.gzipSync(json));
    expect(await read(twice, { contentEncoding: 'utf-8, gzip, br' })).toBe(text);
  });

  const zeros = Buffer.alloc(256 * 1024 * 1024);
  it.each<[string, () => Buffer]>([
    ['gzip', () => zlib.gzipSync(zeros, { level: 1 })],
    ['br', () => zlib.brotliCompressSync(zeros, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ])('that is a bomb is refused, and takes no memory: %s', async (contentEncoding, bombOf) => {
    const bomb = bombOf();
    const before = process.memoryUsage.rss();
    await expect(read(bomb, { contentEncoding })).rejects.toThrow(
      "has more than 67108864 bytes when decompressed. Raise 'maxDecompressedBytes'",
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
  });

  it('has a limit that can be chosen, of the decompressed body', async () => {
    const body = zlib.gzipSync(JSON.stringify('x'.repeat(98)));
    const properties = { contentEncoding: 'gzip' };
    expect(await read(body, properties, wireOf({ maxDecompressedBytes: 100 }))).toBe('x'.repeat(98));
    await expect(read(body, properties, wireOf({ maxDecompressedBytes: 99 }))).rejects.toThrow(
      'more than 99',
    );
  });
});

describe('encryption', () => {
  const key = Buffer.alloc(32, 1);
  const wire = wireOf({ encryption: aes256gcm(key), compression: { encoding: 'gzip' } });

  it.each<[string, unknown, string]>([
    ['data', { card: '4111' }, 'aes256gcm'],
    ['compressed data', text, 'gzip, aes256gcm'],
    ['nothing', undefined, 'aes256gcm'],
    ['bytes', Buffer.from('4111'), 'aes256gcm'],
  ])('hides %s, and gives it back to who has the key', async (_what, data, contentEncoding) => {
    const { body, properties } = await wire.encode(data);
    expect(properties.contentEncoding).toBe(contentEncoding);
    expect(body.includes('4111')).toBe(false);
    expect(await read(body, properties, wire)).toEqual(data);
  });

  it('with another key, of a changed body or without a key is unreadable', async () => {
    const { body, properties } = await wire.encode({ card: '4111' });
    const other = wireOf({ encryption: aes256gcm(Buffer.alloc(32, 2)) });
    await expect(read(body, properties, other)).rejects.toMatchObject({
      name: 'UnreadableBodyException',
      message: expect.stringMatching(/^The body can't be decrypted: .* Give the key/),
    });
    const changed = Buffer.from(body);
    changed[30] = (changed[30] ?? 0) ^ 1;
    await expect(read(changed, properties, wire)).rejects.toThrow("can't be decrypted");
    await expect(read(body, { ...properties, contentType: 'text/plain' }, wire)).rejects.toThrow(
      "can't be decrypted",
    );
    await expect(read(body, properties)).rejects.toThrow("'aes256gcm', which is not known here");
  });

  it('is asked for where it is required, and else others are read too', async () => {
    expect(await read('5', {}, wire)).toBe(5);
    const strict = wireOf({ encryption: { ...aes256gcm(key), required: true } });
    await expect(read('5', {}, strict)).rejects.toThrow(
      'The body is not encrypted. Let its producer encrypt',
    );
    const { body, properties } = await strict.encode(5);
    expect(await read(body, properties, strict)).toBe(5);
  });
});

describe('options of the wire', () => {
  it.each<[string, object]>([
    ["'codec' is 'msgpack'.", { codec: 'msgpack' }],
    ["'codec' has no method 'decode'.", { codec: { contentType: 'a/b', encode: String } }],
    ["'codec.contentType' is 'msgpack'.", { codec: { ...bigints, contentType: 'msgpack' } }],
    [
      "'codec.contentType' is 'application/octet-stream'.",
      { codec: { ...bigints, contentType: 'application/octet-stream' } },
    ],
    ["'codecs' is", { codecs: bigints }],
    ["'codecs[0].contentType' is missing", { codecs: [{ ...bigints, contentType: undefined }] }],
    ["'compression' is 'gzip'.", { compression: 'gzip' }],
    ["'compression.encoding' is 'zip'. Give 'gzip', 'br' or 'zstd'.", { compression: { encoding: 'zip' } }],
    ["compression has the unknown option 'level'.", { compression: { encoding: 'gzip', level: 9 } }],
    ["'compression.threshold' is -1", { compression: { encoding: 'gzip', threshold: -1 } }],
    ["'maxDecompressedBytes' is 0", { maxDecompressedBytes: 0 }],
    ["'encryption' has no method 'encrypt'.", { encryption: { encoding: 'x' } }],
    [
      "'encryption.encoding' is 'gzip'.",
      { encryption: { ...aes256gcm(Buffer.alloc(32)), encoding: 'gzip' } },
    ],
    ["'encryption.encoding' is 'A B'.", { encryption: { ...aes256gcm(Buffer.alloc(32)), encoding: 'A B' } }],
    ["'encryption.required' is 'yes'.", { encryption: { ...aes256gcm(Buffer.alloc(32)), required: 'yes' } }],
    ["'serializer' has no method 'serialize'.", { serializer: {} }],
    ["'deserializer' is 5", { deserializer: 5 }],
  ])('that can not be meant are refused: %s', (message, options) => {
    expect(() => wireOf(options as WireOptions)).toThrow(message);
  });
});
