import { fieldsOf, isInteger, typeOf, valueOf } from '../message/fields.js';
import type { FieldTable } from '../message/message.js';
import { AmqpError, notImplemented } from './amqp-error.js';
import type { WireTable } from './wire.js';

/** Arguments that mean something in RabbitMQ and nothing here yet. Others are ignored by both. */
const CONSUMER_ARGUMENTS: ReadonlySet<string> = new Set(['x-stream-offset', 'x-stream-filter']);

/** The consumer's priority. Throws also PRECONDITION_FAILED in RabbitMQ's words, when it is no integer. */
export function consumerPriority(queue: string, vhost: string, { bytes, values }: WireTable): number {
  refuse(values, CONSUMER_ARGUMENTS, `of a consumer of queue '${queue}'`);
  const field = fieldsOf(bytes).find(({ name }) => name === 'x-priority');
  if (field === undefined) return 0;
  if (isInteger(field)) return Number(valueOf(field));
  throw new AmqpError(
    'PRECONDITION_FAILED',
    `invalid arg 'x-priority' for queue '${queue}' in vhost '${vhost}': "expected integer, got ${typeOf(field)}"`,
  );
}

function refuse(values: FieldTable, missing: ReadonlySet<string>, where: string): void {
  for (const name of Object.keys(values))
    if (missing.has(name)) throw notImplemented(`argument '${name}' ${where} is`);
}
