import type { Policy, UserDefinition, VhostDefinition } from '../definitions/access-definitions.js';
import {
  decodeKey,
  type DefinitionKey,
  type ExchangeDefinition,
  type QueueDefinition,
} from '../definitions/definitions.js';
import { Registry } from '../definitions/registry.js';
import type { FieldTable, FieldValue } from '../message/message.js';
import { ByteReader, readTable } from '../message/table-codec.js';
import type { PermissionEntry, TopicPermissionEntry } from './definitions-document.js';

/** The RabbitMQ whose form it is. */
const RABBITMQ_VERSION = '3.10.8';
const RABBITMQ_HASHING = 'rabbit_password_hashing_sha256';

/**
 * A broker's definitions, as its store has them, in the form of `rabbitmqctl export_definitions`, which RabbitMQ imports.
 * Passwords that only nestmq can compare are in a field of their own: in RabbitMQ these users have none, and can't log
 * in until they are given one.
 */
export function exportDefinitions(definitions: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const registry = new Registry({ define: () => {} });
  registry.restore(definitions);
  const all = [...definitions].map(([key, value]) => [decodeKey(key), value] as const);
  return {
    rabbit_version: RABBITMQ_VERSION,
    rabbitmq_version: RABBITMQ_VERSION,
    product_name: 'nestmq',
    users: [...registry.users].map(userEntry),
    vhosts: [...registry.vhosts].map(vhostEntry),
    permissions: permissionEntries(registry),
    topic_permissions: topicPermissionEntries(registry),
    parameters: registry.operatorPolicies.map(([[, vhost, name], policy]) => ({
      component: 'operator_policy',
      vhost,
      name,
      value: policyFields(policy),
    })),
    global_parameters: [],
    policies: registry.policies.map(([[, vhost, name], policy]) =>
      Object.assign({ vhost, name }, policyFields(policy)),
    ),
    exchanges: all.flatMap(([key, value]) => exchangeEntries(key, value as ExchangeDefinition)),
    queues: all.flatMap(([key, value]) => queueEntries(key, value as QueueDefinition)),
    bindings: all.flatMap(([key]) => bindingEntries(key)),
  };
}

export function permissionEntries({ permissions }: Registry): PermissionEntry[] {
  return permissions.map(([[, user, vhost], { configure, write, read }]) => {
    return { user, vhost, configure, write, read };
  });
}

export function topicPermissionEntries({ topicPermissions }: Registry): TopicPermissionEntry[] {
  return topicPermissions.map(([[, user, vhost, exchange], { write, read }]) => {
    return { user, vhost, exchange, write, read };
  });
}

/** How many users have passwords that RabbitMQ can't compare. */
export function usersWithoutRabbitHash(definitions: ReadonlyMap<string, unknown>): number {
  return [...definitions].filter(
    ([key, value]) => decodeKey(key)[0] === 'user' && (value as UserDefinition).hashingAlgorithm === 'scrypt',
  ).length;
}

function userEntry([name, user]: [string, UserDefinition]): object {
  const { hashingAlgorithm, passwordHash, tags } = user;
  const isOwn = hashingAlgorithm === 'scrypt';
  return {
    name,
    password_hash: isOwn ? '' : passwordHash,
    hashing_algorithm: isOwn ? RABBITMQ_HASHING : hashingAlgorithm,
    tags,
    limits: {},
    ...(isOwn ? { nestmq_password_hash: passwordHash } : {}),
  };
}

function vhostEntry([name, { description, tags }]: [string, VhostDefinition]): object {
  return { name, limits: [], metadata: { description, tags } };
}

function policyFields({ pattern, applyTo, priority, definition }: Policy): object {
  return { pattern, 'apply-to': applyTo, priority, definition };
}

function exchangeEntries(key: DefinitionKey, value: ExchangeDefinition): object[] {
  if (key[0] !== 'exchange') return [];
  const [, vhost, name] = key;
  const { type, autoDelete, internal = false } = value;
  const args = argumentsIn(value.arguments);
  return [{ vhost, name, type, durable: true, auto_delete: autoDelete, internal, arguments: args }];
}

/** What an exchange delays lies in a queue that comes with the exchange. */
function queueEntries(key: DefinitionKey, value: QueueDefinition): object[] {
  if (key[0] !== 'queue' || value.delays !== undefined) return [];
  const [, vhost, name] = key;
  const args = argumentsIn(value.arguments);
  const type = args['x-queue-type'] ?? 'classic';
  return [{ vhost, name, durable: true, auto_delete: value.autoDelete, type, arguments: args }];
}

function bindingEntries(key: DefinitionKey): object[] {
  const kind = BINDING_KINDS[key[0]];
  if (kind === undefined) return [];
  const [, vhost, source, destination, routingKey, args] = key as BindingKey;
  return [
    {
      vhost,
      source,
      destination,
      destination_type: kind,
      routing_key: routingKey,
      arguments: argumentsIn(args),
    },
  ];
}

const BINDING_KINDS: Readonly<Record<string, string>> = { binding: 'queue', 'exchange-binding': 'exchange' };
type BindingKey = readonly [string, string, string, string, string, string?];

function argumentsIn(table: string | undefined): Record<string, unknown> {
  return table === undefined || table === ''
    ? {}
    : jsonOf(readTable(new ByteReader(Buffer.from(table, 'base64'))));
}

function jsonOf(table: FieldTable): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, jsonValue(value)]));
}

/** As RabbitMQ writes them: types that JSON has not become the next that it has. */
function jsonValue(value: FieldValue | undefined): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof Date) return Math.floor(value.getTime() / 1000);
  if (Array.isArray(value)) return value.map((one: FieldValue) => jsonValue(one));
  return typeof value === 'object' && value !== null ? jsonOf(value as FieldTable) : value;
}
