import type { AccessKey } from './access-definitions.js';

/** What survives a restart beside messages: durable exchanges, durable queues, and bindings between them. */
export type ExchangeType =
  | 'direct'
  | 'fanout'
  | 'topic'
  | 'headers'
  | 'x-consistent-hash'
  | 'x-random'
  | 'x-message-deduplication'
  | 'x-delayed-message';

export interface QueueDefinition {
  readonly id: number;
  readonly autoDelete: boolean;
  /** The field table that it was declared with, as on the wire, in base64. @default none */
  readonly arguments?: string;
  /** The exchange that holds messages in it until their time; nobody else uses it. @default none */
  readonly delays?: string;
}

export interface ExchangeDefinition {
  readonly type: ExchangeType;
  readonly autoDelete: boolean;
  /** Only there where it is true. */
  readonly internal?: boolean;
  /** The field table as on the wire, base64; only there where it is not empty. */
  readonly arguments?: string;
}

/**
 * Each definition is one JSON value in the store under one of these keys; the parts can hold any character. The arguments
 * of a binding, a field table in base64, are a part of its key, and only there where there are some.
 */
export type DefinitionKey =
  | readonly ['exchange', vhost: string, name: string]
  | readonly ['queue', vhost: string, name: string]
  | readonly ['binding', vhost: string, source: string, queue: string, routingKey: string, args?: string]
  | readonly [
      'exchange-binding',
      vhost: string,
      source: string,
      exchange: string,
      routingKey: string,
      args?: string,
    ]
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
