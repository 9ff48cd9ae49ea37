import { channelError } from '../errors.js';
import { EncodedMessage } from './encoded-message.js';
import { textOf } from './field-text.js';
import { elementsOf, type Field, typeOf } from './fields.js';
import { headersIn, propertyBytesOf, withHeaders } from './headers.js';
import type { Message } from './message.js';

/** What a message says of where it goes. */
export type Routable = Pick<Message, 'routingKey' | 'properties' | 'propertiesBytes'>;

/** Headers with more routing keys (rabbitmq.com/sender-selected). The second is for the broker's eyes only. */
const CC = 'CC';
const BCC = 'BCC';
/** Both names end with it. */
const CC_BYTES = Buffer.from(CC);
/** Of the presence flags; see properties-codec.ts. */
const HEADERS = 1 << 13;

/**
 * The routing keys in the headers CC and BCC, or undefined when there is neither. Throws PRECONDITION_FAILED, in
 * RabbitMQ's words, when one is no array; what is no string in it is passed over.
 */
export function copyKeysOf(message: Routable): string[] | undefined {
  if (!mayHaveCopies(message)) return undefined;
  const headers = headersIn(propertyBytesOf(message));
  const fields = [CC, BCC].flatMap((name) => headers.find((field) => field.name === name) ?? []);
  return fields.length === 0 ? undefined : fields.flatMap(keysIn);
}

/** The message as others see it; the same one when it has no BCC. */
export function withoutBcc(message: Message): Message {
  if (!mayHaveCopies(message)) return message;
  const bytes = propertyBytesOf(message);
  const headers = headersIn(bytes);
  const left = headers.filter(({ name }) => name !== BCC);
  if (left.length === headers.length) return message;
  return new EncodedMessage(message.exchange, message.routingKey, withHeaders(bytes, left), message.body);
}

/** False for most, and then nothing was decoded. */
function mayHaveCopies(message: Routable): boolean {
  const { propertiesBytes } = message;
  if (propertiesBytes !== undefined) {
    return (propertiesBytes.readUInt16BE(0) & HEADERS) !== 0 && propertiesBytes.includes(CC_BYTES);
  }
  const { headers } = message.properties;
  return headers !== undefined && (headers[CC] !== undefined || headers[BCC] !== undefined);
}

function keysIn(field: Field): string[] {
  if (typeOf(field) !== 'array') {
    const why = `{unacceptable_type_in_header,"${field.name}",${typeOf(field)}}`;
    throw channelError('PRECONDITION_FAILED', `invalid message: ${why}`);
  }
  return elementsOf(field).flatMap((bytes) => textOf({ bytes }) ?? []);
}
