import type { AccessKey } from './access-definitions.js';

/** What survives a restart beside messages: durable exchanges, durable queues, and bindings between them. */
export type ExchangeType = 'direct' | 'fanout' | 'topic';

export interface QueueDefinition {
  readonly id: number;
  readonly autoDelete: boolean;
}

export interface ExchangeDefinition {
  readonly type: ExchangeType;
  readonly autoDelete: boolean;
}

/** Each definition is one JSON value in the store under one of these keys; the parts can hold any character. */
export type DefinitionKey =
  | readonly ['exchange', vhost: string, name: string]
  | readonly ['queue', vhost: string, name: string]
  | readonly ['binding', vhost: string, exchange: string, queue: string, routingKey: string]
  | AccessKey;

export function encodeKey(key: DefinitionKey): string {
  return JSON.stringify(key);
}

/** How people tell queues apart, of all vhosts: `q`, `q in vhost 'v'`. */
export function queueLabel(vhost: string, name: string): string {
  return vhost === '/' ? name : `${name} in vhost '${vhost}'`;
}

/** Only for keys that {@link encodeKey} made. */
export function decodeKey(key: string): DefinitionKey {
  return JSON.parse(key) as DefinitionKey;
}
