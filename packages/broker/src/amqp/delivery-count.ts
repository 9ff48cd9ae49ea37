import { EncodedMessage } from '../message/encoded-message.js';
import { longField } from '../message/fields.js';
import { headersIn, propertyBytesOf, withField, withHeaders } from '../message/headers.js';
import type { Message } from '../message/message.js';
import type { Delivery } from '../queue/delivery.js';

/** The message as it is delivered: from a quorum queue with `x-delivery-count`, 0 the first time, as RabbitMQ does. */
export function withDeliveryCount({ queue, message, deliveryCount }: Delivery): Message {
  if (!queue.isRuled || queue.settings.type !== 'quorum') return message;
  const bytes = propertyBytesOf(message);
  const headers = withField(headersIn(bytes), longField('x-delivery-count', deliveryCount));
  return new EncodedMessage(message.exchange, message.routingKey, withHeaders(bytes, headers), message.body);
}
