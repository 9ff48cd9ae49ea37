import { hashPassword, type HashingAlgorithm } from '../auth/password.js';
import type { Broker } from '../broker.js';
import type { Connection } from '../connection.js';
import type { Policy } from '../definitions/access-definitions.js';
import type { ExchangeType } from '../definitions/definitions.js';
import { BrokerError } from '../errors.js';
import type { FieldTable } from '../message/message.js';
import {
  type BindingEntry,
  type DefinitionsDocument,
  type ExchangeEntry,
  type QueueEntry,
  operatorPolicyOf,
  parseDocument,
  type PolicyEntry,
} from './definitions-document.js';
import { knownIn } from './references.js';
import { queueArgumentsOf, supportedPart } from './supported.js';

export interface ImportOptions {
  /** Leaves out what this broker does not do, instead of importing nothing. @default false */
  readonly skipUnsupported?: boolean;
}

export interface ImportReport {
  /** How many of each kind were there to be imported. */
  readonly imported: Readonly<Record<string, number>>;
  /** What was left out and why, one line each. */
  readonly skipped: readonly string[];
}

/**
 * Adds RabbitMQ's definitions (`rabbitmqctl export_definitions`) to a broker's. What is there with the same name is
 * replaced, but for queues and exchanges, which must be equivalent. Resolves when all is durable.
 *
 * Rejects with INVALID_DEFINITION when the text is none, holds what this broker does not do, or names users, vhosts, exchanges
 * or queues that are neither there nor in it: then nothing has changed, and the message lists it. Rejects with
 * PRECONDITION_FAILED at the first queue or exchange that is there and differs, or whose arguments its type refuses.
 */
export async function importDefinitions(
  broker: Broker,
  text: string,
  { skipUnsupported = false }: ImportOptions = {},
): Promise<ImportReport> {
  const all = parseDocument(text);
  const { document, unsupported } = supportedPart(all, knownIn(broker, all));
  if (unsupported.length > 0 && !skipUnsupported) throw refused(unsupported);
  await importAccess(broker, document);
  broker.registry.together(() => importPolicies(broker, document));
  await importTopology(broker, document);
  await broker.durable();
  const { unknownKeys: _, globalParameters: __, ...lists } = document;
  const imported = Object.fromEntries(Object.entries(lists).map(([kind, list]) => [kind, list.length]));
  return { imported, skipped: unsupported };
}

async function importAccess({ registry }: Broker, document: DefinitionsDocument): Promise<void> {
  for (const { name, description, tags } of document.vhosts) registry.setVhost(name, { description, tags });
  for (const { name, tags, password, passwordHash, hashingAlgorithm } of document.users) {
    const kept = { passwordHash, hashingAlgorithm: hashingAlgorithm as HashingAlgorithm };
    registry.setUser(name, { tags, ...(password === undefined ? kept : await hashPassword(password)) });
  }
  for (const { user, vhost, ...patterns } of document.permissions)
    registry.setPermission(user, vhost, patterns);
  for (const { user, vhost, exchange, ...patterns } of document.topicPermissions)
    registry.setTopicPermission(['topic-permission', user, vhost, exchange], patterns);
}

function importPolicies({ registry }: Broker, { policies, parameters }: DefinitionsDocument): void {
  for (const entry of policies) registry.setPolicy(entry.vhost, entry.name, policyIn(entry));
  for (const entry of parameters.map((one) => operatorPolicyOf(one)))
    registry.setOperatorPolicy(entry.vhost, entry.name, policyIn(entry));
}

function policyIn({ pattern, applyTo, priority, definition }: PolicyEntry): Policy {
  // Its scope was checked with the rest.
  return { pattern, applyTo: applyTo as Policy['applyTo'], priority, definition };
}

async function importTopology(broker: Broker, document: DefinitionsDocument): Promise<void> {
  const connections = new Map<string, Connection>();
  const inVhost = (vhost: string): Connection => {
    const connection = connections.get(vhost) ?? broker.connect({ vhost });
    connections.set(vhost, connection);
    return connection;
  };
  try {
    // All of a kind at once: they share their commits.
    await Promise.all(document.exchanges.map((entry) => declareExchange(inVhost(entry.vhost), entry)));
    await Promise.all(document.queues.map((entry) => declareQueue(inVhost(entry.vhost), entry)));
    await Promise.all(document.bindings.map((entry) => bind(inVhost(entry.vhost), entry)));
  } finally {
    for (const connection of connections.values()) connection.close();
  }
}

function declareExchange(connection: Connection, entry: ExchangeEntry): Promise<unknown> {
  const { name, type, durable, autoDelete, internal, arguments: args } = entry;
  // Its type was checked with the rest. JSON has no other types than a field table has.
  const options = {
    type: type as ExchangeType,
    durable,
    autoDelete,
    internal,
    arguments: args as FieldTable,
  };
  return connection.declareExchange(name, options);
}

function declareQueue(connection: Connection, entry: QueueEntry): Promise<unknown> {
  const { name, durable, autoDelete } = entry;
  // RabbitMQ exports those that it has named as well.
  const options = { durable, autoDelete, mayBeReserved: true };
  return connection.declareQueue(name, { ...options, arguments: queueArgumentsOf(entry) });
}

function bind(connection: Connection, entry: BindingEntry): Promise<void> {
  const { source, destination, destinationType, routingKey: key, arguments: args } = entry;
  if (destinationType === 'queue') return connection.bindQueue(destination, source, key, args as FieldTable);
  return connection.bindExchange({ source, destination, key, arguments: args as FieldTable });
}

function refused(unsupported: readonly string[]): BrokerError {
  const list = unsupported.map((line) => `\n  ${line}`).join('');
  return new BrokerError(
    'INVALID_DEFINITION',
    `Nothing was imported, since this broker can't do all of it:${list}\n`,
    { cure: 'Leave these out, or have them skipped (`--skip-unsupported`).' },
  );
}
