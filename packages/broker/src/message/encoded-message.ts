import type { Message, MessageProperties } from './message.js';
import { readProperties } from './properties-codec.js';
import { ByteReader } from './table-codec.js';

type Envelope = Omit<Message, 'body'>;

/** A message as a client sent it. Its properties are decoded only when somebody in this process asks for them. */
export class EncodedMessage implements Message {
  readonly #bytes: Buffer;
  #properties: MessageProperties | undefined;

  /** `propertiesBytes` must have passed `checkProperties`. */
  constructor(
    readonly exchange: string,
    readonly routingKey: string,
    propertiesBytes: Buffer,
    readonly body: Buffer,
  ) {
    this.#bytes = propertiesBytes;
  }

  get propertiesBytes(): Buffer {
    return this.#bytes;
  }

  get properties(): MessageProperties {
    return (this.#properties ??= readProperties(new ByteReader(this.#bytes)));
  }
}

/** What was read back from a store: decoded, with the bytes that it was decoded from. */
export class StoredEnvelope implements Envelope {
  readonly #bytes: Buffer;
  readonly properties: MessageProperties;

  constructor(
    readonly exchange: string,
    readonly routingKey: string,
    propertiesBytes: Buffer,
  ) {
    this.#bytes = propertiesBytes;
    this.properties = readProperties(new ByteReader(propertiesBytes));
  }

  get propertiesBytes(): Buffer {
    return this.#bytes;
  }
}

export class StoredMessage extends StoredEnvelope implements Message {
  constructor(
    exchange: string,
    routingKey: string,
    propertiesBytes: Buffer,
    readonly body: Buffer,
  ) {
    super(exchange, routingKey, propertiesBytes);
  }
}

/** The same message, in memory of its own: what it was read from need not stay for it. */
export function ownBytes(message: Message): Message {
  const { exchange, routingKey, properties, propertiesBytes } = message;
  const body = Buffer.from(message.body);
  if (propertiesBytes === undefined) return { exchange, routingKey, properties, body };
  return new StoredMessage(exchange, routingKey, Buffer.from(propertiesBytes), body);
}

/** The same envelope, with its properties in memory of its own. */
export function ownProperties(envelope: Envelope): Envelope {
  const { exchange, routingKey, propertiesBytes } = envelope;
  if (propertiesBytes === undefined) return envelope;
  return new StoredEnvelope(exchange, routingKey, Buffer.from(propertiesBytes));
}

/** The same envelope around another body. */
export function withBody(envelope: Envelope, body: Buffer): Message {
  const { exchange, routingKey, properties, propertiesBytes } = envelope;
  if (propertiesBytes === undefined) return { exchange, routingKey, properties, body };
  return new StoredMessage(exchange, routingKey, propertiesBytes, body);
}
