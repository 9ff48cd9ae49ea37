import type { Deserializer, Serializer } from '@nestjs/microservices';
import type { MessageProperties } from '@nestmq/broker';
import { assertKeys, describe, flag, integer, table } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import { BINARY_TYPE, type QueueCodec } from './codec.js';
import { canCompress, type CompressionEncoding } from './compression.js';

/**
 * Bodies that are compressed before they are sent.
 *
 * @publicApi
 */
export interface QueueCompression {
  /** `zstd` needs Node 22.15 or later. */
  readonly encoding: CompressionEncoding;
  /** Bodies of at least so many bytes are compressed, if that makes them shorter. 0 to 128 MiB. @default 1024 */
  readonly threshold?: number;
}

/**
 * Encrypts bodies. What decryption needs beside its keys (the id of the key, the nonce) is in the body that it returns.
 *
 * @publicApi
 */
export interface QueueEncryption {
  /** Its name in content-encoding, such as `'aes256gcm'`: 1 to 40 letters, digits and `-`, in lower case. */
  readonly encoding: string;
  /** `properties`: those of the message that are known now, and are the same where it is read. */
  encrypt(body: Buffer, properties: Pick<MessageProperties, 'contentType'>): Uint8Array | Promise<Uint8Array>;
  /** Throws or rejects when the body can't be decrypted: the message is unreadable then. */
  decrypt(body: Buffer, properties: MessageProperties): Uint8Array | Promise<Uint8Array>;
  /** Bodies that are not encrypted are unreadable. @default false */
  readonly required?: boolean;
}

/**
 * `nestmq`: the routing key is the pattern, the body the data. `nest-rmq`: the packets of Nest's own RMQ transport.
 *
 * @publicApi
 */
export type WireFormat = 'nestmq' | 'nest-rmq';

/**
 * How data goes over the wire.
 *
 * @publicApi
 */
export interface WireOptions {
  /**
   * What a client sends: `'nest-rmq'` is packets for a service on Nest's own RMQ transport, to its queue `queue`, as JSON
   * that is neither compressed nor encrypted. Handlers understand both, and answer in kind. @default 'nestmq'
   */
  readonly wireFormat?: WireFormat;
  /** What data is written with. @default 'json' */
  readonly codec?: 'json' | QueueCodec;
  /** What data of others is read with, beside `codec` and JSON. @default none */
  readonly codecs?: readonly QueueCodec[];
  /** Compressed bodies of others are read in any case. @default bodies are not compressed */
  readonly compression?: QueueCompression;
  /** A body that is longer when decompressed is unreadable. Bytes, 1 to 1 GiB. @default 64 MiB */
  readonly maxDecompressedBytes?: number;
  /** @default bodies are not encrypted */
  readonly encryption?: QueueEncryption;
  /** Nest's: gets each packet that is sent, `{ pattern, data }` or an answer, and returns another. May be async. @default none */
  readonly serializer?: Serializer;
  /** Nest's: gets each packet that came, and returns another. May be async. @default none */
  readonly deserializer?: Deserializer;
}

export const WIRE_KEYS: readonly string[] = [
  'wireFormat',
  'codec',
  'codecs',
  'compression',
  'maxDecompressedBytes',
  'encryption',
  'serializer',
  'deserializer',
];

export interface NormalisedWireOptions {
  readonly format: WireFormat;
  /** Undefined is JSON. */
  readonly codec: QueueCodec | undefined;
  readonly codecs: readonly QueueCodec[];
  readonly compression: Required<QueueCompression> | undefined;
  readonly maxDecompressedBytes: number;
  readonly encryption: QueueEncryption | undefined;
  readonly serializer: Serializer | undefined;
  readonly deserializer: Deserializer | undefined;
}

export const WIRE_DEFAULTS: NormalisedWireOptions = {
  format: 'nestmq',
  codec: undefined,
  codecs: [],
  compression: undefined,
  maxDecompressedBytes: 64 * 1024 * 1024,
  encryption: undefined,
  serializer: undefined,
  deserializer: undefined,
};

const THRESHOLD_DEFAULT = 1024;
const THRESHOLD_MAX = 128 * 1024 * 1024;
const DECOMPRESSED_MAX = 1024 * 1024 * 1024;

/** Throws QueueOptionsException. */
export function normaliseWireOptions(options: WireOptions): NormalisedWireOptions {
  const { codec, codecs, compression, maxDecompressedBytes, encryption, serializer, deserializer } = options;
  return {
    format: formatOf(options),
    codec: codec === undefined || codec === 'json' ? undefined : codecOf('codec', codec),
    codecs: codecsOf(codecs),
    compression: compression === undefined ? undefined : compressionOf(compression),
    maxDecompressedBytes: integer(
      'maxDecompressedBytes',
      maxDecompressedBytes,
      WIRE_DEFAULTS.maxDecompressedBytes,
      1,
      DECOMPRESSED_MAX,
    ),
    encryption: encryption === undefined ? undefined : encryptionOf(encryption),
    serializer: withMethods('serializer', serializer, ['serialize']),
    deserializer: withMethods('deserializer', deserializer, ['deserialize']),
  };
}

function formatOf({
  wireFormat = WIRE_DEFAULTS.format,
  codec,
  compression,
  encryption,
}: WireOptions): WireFormat {
  if (wireFormat !== 'nestmq' && wireFormat !== 'nest-rmq') {
    throw new QueueOptionsException(
      `'wireFormat' is ${describe(wireFormat)}.`,
      "Give 'nestmq' or 'nest-rmq'.",
    );
  }
  const others = Object.entries({ codec, compression, encryption }).filter(
    ([, value]) => value !== undefined,
  );
  if (wireFormat === 'nestmq' || others.length === 0) return wireFormat;
  throw new QueueOptionsException(
    `'wireFormat' is 'nest-rmq', and there is '${others.map(([key]) => key).join("', '")}'.`,
    "Leave that out: Nest's own transport reads plain JSON only.",
  );
}

function withMethods<T>(key: string, value: T, methods: readonly string[]): T {
  if (value === undefined) return value;
  const object = table(key, value);
  const missing = methods.find((method) => typeof object[method] !== 'function');
  if (missing === undefined) return value;
  throw new QueueOptionsException(
    `'${key}' has no method '${missing}'.`,
    `Give one with: ${methods.join(', ')}.`,
  );
}

const CONTENT_TYPE = /^[a-z0-9.+-]{1,60}\/[a-z0-9.+-]{1,120}$/;

function codecOf(key: string, value: QueueCodec): QueueCodec {
  const { contentType } = withMethods(key, value, ['encode', 'decode']);
  if (typeof contentType === 'string' && CONTENT_TYPE.test(contentType) && contentType !== BINARY_TYPE)
    return value;
  throw new QueueOptionsException(
    `'${key}.contentType' is ${describe(contentType)}.`,
    `Give a content type in lower case, without parameters, such as 'application/msgpack'; '${BINARY_TYPE}' is for bytes.`,
  );
}

function codecsOf(value: unknown): readonly QueueCodec[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    throw new QueueOptionsException(`'codecs' is ${describe(value)}.`, 'Give a list of codecs.');
  }
  return value.map((codec: QueueCodec, index) => codecOf(`codecs[${index}]`, codec));
}

function compressionOf(value: QueueCompression): Required<QueueCompression> {
  const options = table('compression', value);
  assertKeys('compression', options, ['encoding', 'threshold']);
  const { encoding, threshold } = value;
  if (encoding === 'zstd' && !canCompress(encoding)) {
    throw new QueueOptionsException(
      `'compression.encoding' is 'zstd', which Node ${process.versions.node} does not have.`,
      "Run Node 22.15 or later, or give 'br' or 'gzip'.",
    );
  }
  if (!['gzip', 'br', 'zstd'].includes(encoding)) {
    throw new QueueOptionsException(
      `'compression.encoding' is ${describe(encoding)}.`,
      "Give 'gzip', 'br' or 'zstd'.",
    );
  }
  return {
    encoding,
    threshold: integer('compression.threshold', threshold, THRESHOLD_DEFAULT, 0, THRESHOLD_MAX),
  };
}

function encryptionOf(value: QueueEncryption): QueueEncryption {
  const { encoding, required } = withMethods('encryption', value, ['encrypt', 'decrypt']);
  flag('encryption.required', required, false);
  if (/^[a-z0-9-]{1,40}$/.test(encoding) && !canCompress(encoding) && encoding !== 'zstd') return value;
  throw new QueueOptionsException(
    `'encryption.encoding' is ${describe(encoding)}.`,
    "Give a name of 1 to 40 letters, digits and '-' in lower case that is no compression's, such as 'aes256gcm'.",
  );
}
