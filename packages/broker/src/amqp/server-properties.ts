import type { FieldTable } from '../message/message.js';

/**
 * What clients are told at the start. The product is RabbitMQ's name, since clients decide by it how to talk: it says
 * whose dialect is spoken, as measured with that version; `platform` and `information` say who speaks it. A capability is
 * announced when it is there.
 */
export const SERVER_PROPERTIES: FieldTable = {
  product: 'RabbitMQ',
  version: '3.10.8',
  platform: `nestmq on Node.js ${process.versions.node}`,
  copyright: 'Copyright (c) the nestmq authors',
  information: 'nestmq, licensed under the MIT license; it speaks the dialect of RabbitMQ',
  cluster_name: 'nestmq',
  capabilities: {
    publisher_confirms: true,
    exchange_exchange_bindings: true,
    'basic.nack': true,
    consumer_cancel_notify: true,
    'connection.blocked': true,
    consumer_priorities: true,
    authentication_failure_close: true,
    per_consumer_qos: true,
    direct_reply_to: true,
  },
};
