import type { FieldTable, FieldValue } from '../message/message.js';
import { AmqpError, notImplemented } from './amqp-error.js';
import type { WireTable } from './wire.js';

/** Arguments that mean something in RabbitMQ and nothing here yet. Others are ignored by both. */
const QUEUE_ARGUMENTS: ReadonlySet<string> = new Set([
  'x-message-ttl',
  'x-expires',
  'x-max-length',
  'x-max-length-bytes',
  'x-overflow',
  'x-dead-letter-exchange',
  'x-dead-letter-routing-key',
  'x-dead-letter-strategy',
  'x-max-priority',
  'x-single-active-consumer',
  'x-delivery-limit',
  'x-delayed-retry-type',
  'x-delayed-retry-min',
  'x-delayed-retry-max',
  'x-consumer-timeout',
]);
const EXCHANGE_ARGUMENTS: ReadonlySet<string> = new Set(['x-delayed-type']);
const CONSUMER_ARGUMENTS: ReadonlySet<string> = new Set(['x-priority', 'x-stream-offset', 'x-stream-filter']);

/** Throws NOT_IMPLEMENTED: an argument that is ignored would promise what nobody keeps. */
export function checkQueueArguments(queue: string, args: WireTable): void {
  const values = args.values;
  checkQueueType(queue, values['x-queue-type']);
  refuse(values, QUEUE_ARGUMENTS, `of queue '${queue}'`);
}

export function checkExchangeArguments(exchange: string, args: WireTable): void {
  refuse(args.values, EXCHANGE_ARGUMENTS, `of exchange '${exchange}'`);
}

export function checkConsumerArguments(queue: string, args: WireTable): void {
  refuse(args.values, CONSUMER_ARGUMENTS, `of a consumer of queue '${queue}'`);
}

function checkQueueType(queue: string, type: FieldValue | undefined): void {
  if (type === undefined || type === 'classic') return;
  if (type === 'quorum' || type === 'stream') throw notImplemented(`x-queue-type '${type}' is`);
  const what = typeof type === 'string' ? type : JSON.stringify(type);
  throw new AmqpError(
    'PRECONDITION_FAILED',
    `invalid arg 'x-queue-type' for queue '${queue}' in vhost '/': "unsupported queue type '${what}'"`,
  );
}

function refuse(values: FieldTable, missing: ReadonlySet<string>, where: string): void {
  for (const name of Object.keys(values))
    if (missing.has(name)) throw notImplemented(`argument '${name}' ${where} is`);
}
