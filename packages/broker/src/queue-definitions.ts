import type { QueueDefinition } from './definitions/definitions.js';
import type { FieldTable } from './message/message.js';
import type { Queue, QueueInit } from './queue/queue.js';
import { parseQueueArguments } from './queue/queue-arguments.js';

/** What a queue is declared with, nothing left out. */
export interface DeclaredQueue {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments?: FieldTable | Buffer;
}

/** Throws PRECONDITION_FAILED in RabbitMQ's words for arguments that are wrong, NOT_IMPLEMENTED for some. */
export function initOf(
  name: string,
  vhost: string,
  declared: DeclaredQueue,
  owner: object,
): Omit<QueueInit, 'id'> {
  const { durable, exclusive, autoDelete } = declared;
  const args = parseQueueArguments(declared.arguments, { name, vhost, durable, exclusive, autoDelete });
  return { name, durable, autoDelete, owner: exclusive ? owner : undefined, arguments: args };
}

/** As the store had it. */
export function restoredInitOf(
  name: string,
  vhost: string,
  { id, autoDelete, arguments: table }: QueueDefinition,
): QueueInit {
  const bytes = table === undefined ? undefined : Buffer.from(table, 'base64');
  const facts = { name, vhost, durable: true, exclusive: false, autoDelete };
  const args = parseQueueArguments(bytes, facts);
  return { id, name, durable: true, autoDelete, owner: undefined, arguments: args };
}

/** As it is kept: without arguments it has none, as before there were any. */
export function definitionOf({ init }: Queue): QueueDefinition {
  const { id, autoDelete, arguments: args } = init;
  if (args === undefined || args.table.id === '') return { id, autoDelete };
  return { id, autoDelete, arguments: args.table.id };
}
