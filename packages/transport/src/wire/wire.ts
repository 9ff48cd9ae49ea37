import type { Message, MessageProperties } from '@nestmq/broker';
import type { Encoded } from '../envelope.js';
import { UnreadableBodyException } from '../queue.exceptions.js';
import { bufferOf, Codecs, type Typed } from './codec.js';
import { compress, decompress } from './compression.js';
import { type NormalisedWireOptions, WIRE_DEFAULTS } from './wire-options.js';

/** What producers call bodies that are not encoded: kombu, for one, has a charset there. */
const NOT_ENCODED: ReadonlySet<string> = new Set(['', 'identity', 'utf-8', 'utf8', 'us-ascii', 'binary']);
/** Gzip in gzip without end is an attack. */
const ENCODINGS_MAX = 4;

/**
 * How data becomes bodies and bodies data: by a codec, then compressed, then encrypted; read in whatever way the
 * message says that it was written. Without compression and encryption it is synchronous.
 */
export class Wire {
  readonly #options: NormalisedWireOptions;
  readonly #codecs: Codecs;

  constructor(options: NormalisedWireOptions = WIRE_DEFAULTS) {
    this.#options = options;
    this.#codecs = new Codecs(options.codec, options.codecs);
  }

  /** What a client sends. */
  get format(): NormalisedWireOptions['format'] {
    return this.#options.format;
  }

  get serializer(): NormalisedWireOptions['serializer'] {
    return this.#options.serializer;
  }

  get deserializer(): NormalisedWireOptions['deserializer'] {
    return this.#options.deserializer;
  }

  /** Throws what the codec throws (for JSON TypeError: a cycle, a BigInt), or rejects if it is a promise. */
  encode(data: unknown): Encoded | Promise<Encoded> {
    const { compression, encryption } = this.#options;
    const { body, contentType } = this.#codecs.encode(data);
    const isCompressed = compression !== undefined && body.length >= compression.threshold;
    if (!isCompressed && encryption === undefined) return { body, properties: { contentType } };
    return this.#encodeFurther({ body, contentType }, isCompressed);
  }

  async #encodeFurther({ body, contentType }: Typed, isCompressed: boolean): Promise<Encoded> {
    const { compression, encryption } = this.#options;
    const encodings: string[] = [];
    let encoded = body;
    if (isCompressed && compression !== undefined) {
      const compressed = await compress(compression.encoding, body);
      if (compressed.length < body.length) {
        encoded = compressed;
        encodings.push(compression.encoding);
      }
    }
    if (encryption !== undefined) {
      encoded = bufferOf(await encryption.encrypt(encoded, { contentType }));
      encodings.push(encryption.encoding);
    }
    if (encodings.length === 0) return { body: encoded, properties: { contentType } };
    return { body: encoded, properties: { contentType, contentEncoding: encodings.join(', ') } };
  }

  /**
   * An empty body is `undefined`, unless it is bytes or text. Throws UnreadableBodyException, or rejects with it if it
   * is a promise.
   */
  decode({ body, properties }: Pick<Message, 'body' | 'properties'>): unknown {
    const { contentType, contentEncoding } = properties;
    const encodings = contentEncoding === undefined ? [] : encodingsIn(contentEncoding);
    if (this.#options.encryption?.required === true) this.#assertEncrypted(encodings);
    if (encodings.length === 0) return this.#codecs.decode(body, contentType);
    return this.#decodeAll(body, properties, encodings).then((decoded) =>
      this.#codecs.decode(decoded, contentType),
    );
  }

  async #decodeAll(
    body: Buffer,
    properties: MessageProperties,
    encodings: readonly string[],
  ): Promise<Buffer> {
    const { encryption, maxDecompressedBytes } = this.#options;
    let decoded = body;
    for (const encoding of encodings.toReversed()) {
      decoded =
        encoding === encryption?.encoding
          ? await this.#decrypt(decoded, properties)
          : await decompress(encoding, decoded, maxDecompressedBytes);
    }
    return decoded;
  }

  async #decrypt(body: Buffer, properties: MessageProperties): Promise<Buffer> {
    try {
      const decrypted = await this.#options.encryption?.decrypt(body, properties);
      return decrypted === undefined ? body : bufferOf(decrypted);
    } catch (cause) {
      throw new UnreadableBodyException(
        `The body can't be decrypted: ${cause instanceof Error ? cause.message : String(cause)}.`,
        'Give the key with which its producer encrypts; the message can be sent again.',
        { cause },
      );
    }
  }

  #assertEncrypted(encodings: readonly string[]): void {
    if (encodings.includes(this.#options.encryption?.encoding ?? '')) return;
    throw new UnreadableBodyException(
      'The body is not encrypted.',
      "Let its producer encrypt, or set 'encryption.required' to false.",
    );
  }
}

/** In the order in which they were applied. */
function encodingsIn(contentEncoding: string): readonly string[] {
  const names = contentEncoding.split(',').map((name) => name.trim().toLowerCase());
  const encodings = names.filter((name) => !NOT_ENCODED.has(name));
  if (encodings.length <= ENCODINGS_MAX) return encodings;
  throw new UnreadableBodyException(
    `The body is encoded ${encodings.length} times.`,
    `Encode it at most ${ENCODINGS_MAX} times.`,
  );
}
