import type { Message } from '@nestmq/broker';
import type { Message as AmqplibMessage } from 'amqplib';
import { originOf } from './amqp-delays.js';
import { propertiesFrom } from './amqp-fields.js';

/** How often a quorum queue has handed it out before. */
const DELIVERY_COUNT = 'x-delivery-count';

export function messageFrom({ fields, properties, content }: AmqplibMessage): Message {
  const read = propertiesFrom(properties);
  const exchange = originOf(fields.exchange, read.headers);
  if (read.headers?.[DELIVERY_COUNT] === undefined)
    return { exchange, routingKey: fields.routingKey, properties: read, body: content };
  // It is a matter of this delivery: published again it would be wrong.
  const { [DELIVERY_COUNT]: _count, ...headers } = read.headers;
  return { exchange, routingKey: fields.routingKey, properties: { ...read, headers }, body: content };
}
