import type { Broker } from '../broker.js';
import { PREDECLARED } from '../exchanges.js';
import { LIMITS } from '../limits.js';
import type { BindingEntry, DefinitionsDocument } from './definitions-document.js';

/** What entries of a document may name, since it is in the broker, or comes with the document. */
export interface Known {
  hasUser(name: string): boolean;
  hasVhost(name: string): boolean;
  hasEnd(kind: 'queue' | 'exchange', vhost: string, name: string): boolean;
}

export function knownIn(broker: Broker, document: DefinitionsDocument): Known {
  const { registry } = broker;
  const users = new Set([...registry.users.keys(), ...document.users.map(({ name }) => name)]);
  const vhosts = new Set([...registry.vhosts.keys(), ...document.vhosts.map(({ name }) => name)]);
  const ends = new Set([
    ...document.queues.map((one) => idOf('queue', one.vhost, one.name)),
    ...document.exchanges.map((one) => idOf('exchange', one.vhost, one.name)),
  ]);
  const isThere = (kind: 'queue' | 'exchange', vhost: string, name: string): boolean =>
    registry.vhosts.has(vhost) && isIn(broker, kind, vhost, name);
  return {
    hasUser: (name) => users.has(name),
    hasVhost: (name) => vhosts.has(name),
    hasEnd: (kind, vhost, name) =>
      ends.has(idOf(kind, vhost, name)) ||
      (kind === 'exchange' && PREDECLARED.some(([one]) => one === name)) ||
      isThere(kind, vhost, name),
  };
}

/** Why it can't be named so, if so. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'its name is empty';
  return Buffer.byteLength(name) > LIMITS.shortStringBytesMax ? 'its name is too long' : undefined;
}

/** Which of its ends is nowhere, if one is. RabbitMQ 3.10 exports bindings of internal exchanges, and not these. */
export function endsFault(
  { vhost, source, destination, destinationType }: BindingEntry,
  known: Known,
): string | undefined {
  if (source === '') return 'nothing can be bound to the default exchange';
  const kind = destinationType === 'queue' ? 'queue' : 'exchange';
  if (!known.hasEnd(kind, vhost, destination)) return `there is no ${kind} '${destination}'`;
  return known.hasEnd('exchange', vhost, source) ? undefined : `there is no exchange '${source}'`;
}

function isIn(broker: Broker, kind: 'queue' | 'exchange', vhost: string, name: string): boolean {
  const connection = broker.connect({ vhost });
  try {
    return kind === 'queue' ? connection.hasQueue(name) : connection.exchangeType(name) !== undefined;
  } finally {
    connection.close();
  }
}

function idOf(kind: string, vhost: string, name: string): string {
  return `${kind}\0${vhost}\0${name}`;
}
