import { assertPasswordHash, isHashingAlgorithm } from '../auth/password.js';
import type { Policy } from '../definitions/access-definitions.js';
import { assertPolicy } from '../definitions/policy-check.js';
import { POLICY_KEYS } from '../definitions/policy-keys.js';
import { messageOf } from '../errors.js';
import { isExchangeType } from '../exchange-types.js';
import type { FieldTable } from '../message/message.js';
import { Pattern } from '../pattern/pattern.js';
import { parseQueueArguments } from '../queue/queue-arguments.js';
import {
  type BindingEntry,
  type DefinitionsDocument,
  type ExchangeEntry,
  type JsonObject,
  operatorPolicyOf,
  type ParameterEntry,
  type PermissionEntry,
  type PolicyEntry,
  type QueueEntry,
  type TopicPermissionEntry,
  type UserEntry,
} from './definitions-document.js';
import { endsFault, type Known, nameFault } from './references.js';

/** They name the cluster that was exported, and define nothing in another. */
const NAMES_OF_CLUSTERS: ReadonlySet<string> = new Set(['cluster_name', 'internal_cluster_id']);

/** A document of which only what this broker does is left, and what is not, in words: one line each. */
export interface Supported {
  readonly document: DefinitionsDocument;
  readonly unsupported: readonly string[];
}

/** Takes out what this broker would not do, what names something that is not there, and what hangs on either. */
export function supportedPart(document: DefinitionsDocument, known: Known): Supported {
  const unsupported: string[] = [];
  const keep = <T>(entries: readonly T[], what: (entry: T) => string, fault: (entry: T) => Fault): T[] =>
    entries.filter((entry) => {
      const why = fault(entry);
      if (why !== undefined) unsupported.push(`${what(entry)}: ${why}`);
      return why === undefined;
    });
  for (const key of document.unknownKeys) unsupported.push(`'${key}': is not known`);
  // Whom they limit is here without them.
  for (const { name, limits } of document.vhosts) unsupported.push(...limitFaults(`vhost '${name}'`, limits));
  for (const { name, limits } of document.users) unsupported.push(...limitFaults(`user '${name}'`, limits));
  const vhosts = keep(
    document.vhosts,
    ({ name }) => `vhost '${name}'`,
    ({ name }) => nameFault(name),
  );
  const users = keep(
    document.users,
    ({ name }) => `user '${name}'`,
    (entry) => nameFault(entry.name) ?? userFault(entry),
  );
  /** A fault of its vhost comes first. */
  const inVhost =
    <T extends { readonly vhost: string }>(fault: (entry: T) => Fault) =>
    (entry: T): Fault =>
      known.hasVhost(entry.vhost) ? fault(entry) : `there is no vhost '${entry.vhost}'`;
  const named = <T extends Named>(fault: (entry: T) => Fault): ((entry: T) => Fault) =>
    inVhost((entry) => nameFault(entry.name) ?? fault(entry));
  const exchanges = keep(document.exchanges, at('exchange'), named(exchangeFault));
  const queues = keep(document.queues, at('queue'), named(queueFault));
  const missing = {
    queue: leftOut(queues, document.queues),
    exchange: leftOut(exchanges, document.exchanges),
  };
  const keptUsers = new Set(users.map(({ name }) => name));
  const namedUsers = new Set(document.users.map(({ name }) => name));
  const ofUser = (entry: PermissionEntry | TopicPermissionEntry): Fault => {
    if (namedUsers.has(entry.user) && !keptUsers.has(entry.user)) return 'its user is left out';
    return known.hasUser(entry.user) ? permissionFault(entry) : `there is no user '${entry.user}'`;
  };
  const rest = {
    permissions: keep(
      document.permissions,
      ({ user, vhost }) => `permission of user '${user}' in vhost '${vhost}'`,
      inVhost(ofUser),
    ),
    topicPermissions: keep(
      document.topicPermissions,
      ({ user, vhost, exchange }) =>
        `topic permission of user '${user}' for exchange '${exchange}' in vhost '${vhost}'`,
      inVhost(ofUser),
    ),
    parameters: keep(
      document.parameters,
      ({ component, vhost, name }) => `parameter '${name}' of ${component} in vhost '${vhost}'`,
      inVhost(parameterFault),
    ),
    globalParameters: keep(
      document.globalParameters,
      ({ name }) => `global parameter '${name}'`,
      ({ name }) => (NAMES_OF_CLUSTERS.has(name) ? undefined : 'is not supported'),
    ),
    policies: keep(document.policies, at('policy'), named(policyFault)),
    bindings: keep(
      document.bindings,
      bindingName,
      inVhost((entry) => bindingFault(entry, missing) ?? endsFault(entry, known)),
    ),
  };
  return { document: { ...document, vhosts, users, exchanges, queues, ...rest }, unsupported };
}

/** Why something can't be, if so. */
type Fault = string | undefined;

interface Named {
  readonly vhost: string;
  readonly name: string;
}

interface Missing {
  readonly queue: ReadonlySet<string>;
  readonly exchange: ReadonlySet<string>;
}

function leftOut(kept: readonly Named[], all: readonly Named[]): ReadonlySet<string> {
  const isKept = new Set(kept);
  return new Set(all.filter((one) => !isKept.has(one)).map(({ vhost, name }) => `${vhost}\0${name}`));
}

function at(kind: string): (entry: Named) => string {
  return ({ vhost, name }) => `${kind} '${name}' in vhost '${vhost}'`;
}

function userFault({ hashingAlgorithm, passwordHash, password }: UserEntry): Fault {
  if (password !== undefined) return undefined;
  if (!isHashingAlgorithm(hashingAlgorithm))
    return `hashing algorithm '${hashingAlgorithm}' is not supported`;
  return faultOf(() => assertPasswordHash({ hashingAlgorithm, passwordHash }));
}

function limitFaults(of: string, limits: JsonObject): string[] {
  const names = Object.keys(limits);
  return names.length === 0 ? [] : [`${of}: limits (${names.join(', ')}) are not supported`];
}

function permissionFault(entry: PermissionEntry | TopicPermissionEntry): Fault {
  const sources =
    'configure' in entry ? [entry.configure, entry.write, entry.read] : [entry.write, entry.read];
  return faultOf(() => {
    for (const source of sources) Pattern.of(source);
  });
}

function parameterFault(entry: ParameterEntry): Fault {
  return entry.component === 'operator_policy' ? policyFault(operatorPolicyOf(entry)) : 'is not supported';
}

function policyFault(entry: PolicyEntry): Fault {
  return faultOf(() => assertPolicy(entry.name, entry as unknown as Policy, POLICY_KEYS));
}

function exchangeFault({ type }: ExchangeEntry): Fault {
  return isExchangeType(type) ? undefined : `type '${type}' is not supported`;
}

function queueFault(entry: QueueEntry): Fault {
  const { name, vhost, durable, autoDelete } = entry;
  const facts = { name, vhost, durable, autoDelete, exclusive: false };
  return faultOf(() => parseQueueArguments(queueArgumentsOf(entry), facts));
}

/** Its type may be told beside the arguments alone. */
export function queueArgumentsOf({ type, arguments: args }: QueueEntry): FieldTable {
  return { ...(type === 'classic' ? {} : { 'x-queue-type': type }), ...(args as FieldTable) };
}

function bindingName({ vhost, source, destination, destinationType }: BindingEntry): string {
  return `binding of ${destinationType} '${destination}' to exchange '${source}' in vhost '${vhost}'`;
}

function bindingFault(
  { vhost, source, destination, destinationType }: BindingEntry,
  missing: Missing,
): Fault {
  if (destinationType !== 'queue' && destinationType !== 'exchange')
    return `a destination of type '${destinationType}' is not supported`;
  if (missing[destinationType].has(`${vhost}\0${destination}`)) return `its ${destinationType} is left out`;
  return missing.exchange.has(`${vhost}\0${source}`) ? 'its exchange is left out' : undefined;
}

function faultOf(check: () => void): Fault {
  try {
    check();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
