import { isUtf8 } from 'node:buffer';
import { isUint8Array } from 'node:util/types';
import { UnreadableBodyException } from '../queue.exceptions.js';

/**
 * How data becomes bodies of one content type, and back. Both may throw: `encode` for data that it can't hold, `decode`
 * for bodies that are not what they say.
 *
 * @publicApi
 */
export interface QueueCodec {
  /** What its bodies are called on the wire, such as `'application/msgpack'`. Lower case, without parameters. */
  readonly contentType: string;
  /** May throw for data that it has no form for: then nothing is sent. */
  encode(data: unknown): Uint8Array;
  /** The body is a copy: what is decoded may refer to it. */
  decode(body: Buffer): unknown;
}

const JSON_TYPE = 'application/json';
export const BINARY_TYPE = 'application/octet-stream';
const NOTHING = Buffer.alloc(0);

const jsonCodec: QueueCodec = {
  contentType: JSON_TYPE,
  encode: (data) => Buffer.from(JSON.stringify(data)),
  decode: (body) => JSON.parse(textOf(body)) as unknown,
};

export interface Typed {
  readonly body: Buffer;
  readonly contentType: string;
}

/** Writes with one codec, reads with all. Bytes need none: they go as they are, and come as a Buffer. */
export class Codecs {
  readonly #own: QueueCodec;
  readonly #readers: ReadonlyMap<string, QueueCodec>;

  constructor(own: QueueCodec = jsonCodec, others: readonly QueueCodec[] = []) {
    this.#own = own;
    this.#readers = new Map([jsonCodec, ...others, own].map((codec) => [codec.contentType, codec]));
  }

  /** `undefined` is an empty body. Throws what the codec throws: for JSON a TypeError for a cycle or a BigInt. */
  encode(data: unknown): Typed {
    // A copy: a broker in this process keeps the body, and its sender may go on to change the bytes.
    if (isUint8Array(data)) return { body: Buffer.from(data), contentType: BINARY_TYPE };
    const { contentType } = this.#own;
    return { body: data === undefined ? NOTHING : bufferOf(this.#own.encode(data)), contentType };
  }

  /** Throws UnreadableBodyException. */
  decode(body: Buffer, contentType: string | undefined): unknown {
    const type = contentType === undefined || contentType === JSON_TYPE ? JSON_TYPE : essenceOf(contentType);
    // A copy, as above: its receiver may change it, and may get it again.
    if (type === BINARY_TYPE) return Buffer.from(body);
    const codec = this.#readers.get(type);
    if (codec === undefined && type.startsWith('text/')) return decodeBy(type, () => textOf(body));
    if (codec === undefined) throw this.#unknown(type);
    if (body.length === 0) return undefined;
    // JSON is copied by being parsed.
    return decodeBy(type, () => codec.decode(codec === jsonCodec ? body : Buffer.from(body)));
  }

  #unknown(type: string): Error {
    return new UnreadableBodyException(
      `The body is '${type}', which no codec here reads.`,
      `Give a codec for it in 'codecs', or send one of: ${[...this.#readers.keys(), BINARY_TYPE, 'text/*'].join(', ')}.`,
    );
  }
}

/** Without parameters; JSON by other names is JSON. */
function essenceOf(contentType: string): string {
  const [essence = ''] = contentType.split(';', 1);
  const type = essence.trim().toLowerCase();
  return type === '' || type === 'text/json' || type.endsWith('+json') ? JSON_TYPE : type;
}

function decodeBy(type: string, decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    throw new UnreadableBodyException(
      `The body is not '${type}', as it says: ${error instanceof Error ? error.message : String(error)}.`,
      'Correct its producer; the message can be sent again.',
      { cause: error },
    );
  }
}

/** `toString` puts U+FFFD in the place of what is no UTF-8; a text may have had one itself. */
function textOf(body: Buffer): string {
  const text = body.toString('utf8');
  if (text.includes('\uFFFD') && !isUtf8(body)) throw new TypeError('it is not UTF-8');
  return text;
}

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
