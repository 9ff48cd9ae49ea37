import type { Message, MessageProperties } from './message.js';
import { readProperties } from './properties-codec.js';
import { ByteReader } from './table-codec.js';

type Envelope = Omit<Message, 'body'>;

/**
 * The envelope of a message as a client sent it, or as a store gave it back. Its properties are decoded only when somebody
 * in this process asks for them.
 */
export class EncodedEnvelope implements Envelope {
  readonly #bytes: Buffer;
  #properties: MessageProperties | undefined;

  /** `propertiesBytes` must have passed `checkProperties`, or be what was written as properties. */
  constructor(
    readonly exchange: string,
    readonly routingKey: string,
    propertiesBytes: Buffer,
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

export class EncodedMessage extends EncodedEnvelope implements Message {
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
  const { exchange, routingKey, propertiesBytes } = message;
  const body = Buffer.from(message.body);
  if (propertiesBytes === undefined) return { exchange, routingKey, properties: message.properties, body };
  return new EncodedMessage(exchange, routingKey, Buffer.from(propertiesBytes), body);
}

/** The same envelope, with its properties in memory of its own. */
export function ownProperties(envelope: Envelope): Envelope {
  const { exchange, routingKey, propertiesBytes } = envelope;
  if (propertiesBytes === undefined) return envelope;
  return new EncodedEnvelope(exchange, routingKey, Buffer.from(propertiesBytes));
}

/** The same envelope around another body. */
export function withBody(envelope: Envelope, body: Buffer): Message {
  const { exchange, routingKey, propertiesBytes } = envelope;
  if (propertiesBytes === undefined) return { exchange, routingKey, properties: envelope.properties, body };
  return new EncodedMessage(exchange, routingKey, propertiesBytes, body);
}
