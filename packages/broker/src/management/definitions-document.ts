import { BrokerError } from '../errors.js';

/** RabbitMQ's definitions as JSON: what `rabbitmqctl export_definitions` writes, as far as it means something here. */
export interface DefinitionsDocument {
  readonly users: readonly UserEntry[];
  readonly vhosts: readonly VhostEntry[];
  readonly permissions: readonly PermissionEntry[];
  readonly topicPermissions: readonly TopicPermissionEntry[];
  readonly parameters: readonly ParameterEntry[];
  readonly globalParameters: readonly { readonly name: string }[];
  readonly policies: readonly PolicyEntry[];
  readonly exchanges: readonly ExchangeEntry[];
  readonly queues: readonly QueueEntry[];
  readonly bindings: readonly BindingEntry[];
  /** Keys of the document that are none of RabbitMQ 3.10's. */
  readonly unknownKeys: readonly string[];
}

export interface UserEntry {
  readonly name: string;
  readonly tags: readonly string[];
  readonly passwordHash: string;
  readonly hashingAlgorithm: string;
  /** In clear, as RabbitMQ takes it too; hashed when it is imported. */
  readonly password: string | undefined;
  readonly limits: JsonObject;
}

export interface VhostEntry {
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly limits: JsonObject;
}

export interface PermissionEntry {
  readonly user: string;
  readonly vhost: string;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export interface TopicPermissionEntry {
  readonly user: string;
  readonly vhost: string;
  readonly exchange: string;
  readonly write: string;
  readonly read: string;
}

export interface ParameterEntry {
  readonly component: string;
  readonly vhost: string;
  readonly name: string;
  readonly value: unknown;
}

export interface PolicyEntry {
  readonly vhost: string;
  readonly name: string;
  readonly pattern: string;
  readonly applyTo: string;
  readonly priority: number;
  readonly definition: JsonObject;
}

export interface ExchangeEntry {
  readonly vhost: string;
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: JsonObject;
}

export interface QueueEntry {
  readonly vhost: string;
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** RabbitMQ tells it beside the arguments as well. */
  readonly type: string;
  readonly arguments: JsonObject;
}

export interface BindingEntry {
  readonly vhost: string;
  readonly source: string;
  readonly destination: string;
  readonly destinationType: string;
  readonly routingKey: string;
  readonly arguments: JsonObject;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** They say where a document comes from, and define nothing. */
const ORIGIN_KEYS = [
  'rabbit_version',
  'rabbitmq_version',
  'product_name',
  'product_version',
  'rabbitmq_definition_format',
];
const KEYS: ReadonlySet<string> = new Set([
  ...ORIGIN_KEYS,
  'users',
  'vhosts',
  'permissions',
  'topic_permissions',
  'parameters',
  'global_parameters',
  'policies',
  'exchanges',
  'queues',
  'bindings',
]);

/** Throws INVALID_DEFINITION: it is no JSON, or something in it is not what it should be, which the message names. */
export function parseDocument(text: string): DefinitionsDocument {
  const document = new Entry(parseJson(text), 'the document');
  return {
    users: document.list('users', userOf),
    vhosts: document.list('vhosts', vhostOf),
    permissions: document.list('permissions', (entry) => ({
      ...entry.strings('user', 'vhost'),
      ...entry.strings('configure', 'write', 'read'),
    })),
    topicPermissions: document.list('topic_permissions', (entry) => ({
      ...entry.strings('user', 'vhost', 'exchange'),
      ...entry.strings('write', 'read'),
    })),
    parameters: document.list('parameters', (entry) => ({
      ...entry.strings('component', 'vhost', 'name'),
      value: entry.value('value'),
    })),
    globalParameters: document.list('global_parameters', (entry) => entry.strings('name')),
    policies: document.list('policies', (entry) => ({
      vhost: entry.string('vhost'),
      name: entry.string('name'),
      ...policyOf(entry),
    })),
    exchanges: document.list('exchanges', exchangeOf),
    queues: document.list('queues', queueOf),
    bindings: document.list('bindings', bindingOf),
    unknownKeys: document.keys.filter((key) => !KEYS.has(key)),
  };
}

/** An operator policy is a parameter whose value has the fields of a policy. */
export function operatorPolicyOf({ vhost, name, value }: ParameterEntry): PolicyEntry {
  return { vhost, name, ...policyOf(new Entry(value, `the operator policy '${name}'`)) };
}

function userOf(entry: Entry): UserEntry {
  return {
    name: entry.string('name'),
    tags: entry.tags(),
    passwordHash: entry.string('nestmq_password_hash', entry.string('password_hash', '')),
    hashingAlgorithm: entry.has('nestmq_password_hash')
      ? 'scrypt'
      : entry.string('hashing_algorithm', 'rabbit_password_hashing_sha256'),
    password: entry.has('password') ? entry.string('password') : undefined,
    limits: entry.object('limits'),
  };
}

function vhostOf(entry: Entry): VhostEntry {
  const metadata = entry.entry('metadata');
  const described = entry.has('description') ? entry : metadata;
  return {
    name: entry.string('name'),
    description: described.string('description', ''),
    tags: (entry.has('tags') ? entry : metadata).tags(),
    limits: entry.settings('limits'),
  };
}

function policyOf(entry: Entry): Omit<PolicyEntry, 'vhost' | 'name'> {
  return {
    pattern: entry.string('pattern'),
    applyTo: entry.string('apply-to', 'all'),
    priority: entry.number('priority', 0),
    definition: entry.settings('definition'),
  };
}

function exchangeOf(entry: Entry): ExchangeEntry {
  return {
    ...entry.strings('vhost', 'name', 'type'),
    durable: entry.boolean('durable', true),
    autoDelete: entry.boolean('auto_delete', false),
    internal: entry.boolean('internal', false),
    arguments: entry.object('arguments'),
  };
}

function queueOf(entry: Entry): QueueEntry {
  return {
    ...entry.strings('vhost', 'name'),
    durable: entry.boolean('durable', true),
    autoDelete: entry.boolean('auto_delete', false),
    type: entry.string('type', 'classic'),
    arguments: entry.object('arguments'),
  };
}

function bindingOf(entry: Entry): BindingEntry {
  return {
    ...entry.strings('vhost', 'source', 'destination'),
    destinationType: entry.string('destination_type'),
    routingKey: entry.string('routing_key', ''),
    arguments: entry.object('arguments'),
  };
}

/** One object of the document, whose fields are looked at as they are read. */
class Entry {
  readonly #fields: JsonObject;

  constructor(
    value: unknown,
    private readonly where: string,
  ) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(where, 'an object');
    this.#fields = value as JsonObject;
  }

  get keys(): string[] {
    return Object.keys(this.#fields);
  }

  has(key: string): boolean {
    return this.#fields[key] !== undefined;
  }

  value(key: string): unknown {
    return this.#fields[key];
  }

  strings<Key extends string>(...keys: readonly Key[]): Record<Key, string> {
    return Object.fromEntries(keys.map((key) => [key, this.string(key)])) as Record<Key, string>;
  }

  string(key: string, fallback?: string): string {
    return this.#typed(key, 'string', fallback) as string;
  }

  number(key: string, fallback: number): number {
    return this.#typed(key, 'number', fallback) as number;
  }

  boolean(key: string, fallback: boolean): boolean {
    return this.#typed(key, 'boolean', fallback) as boolean;
  }

  /** An empty one when it is missing. An empty list is one too: Erlang can't tell them apart. */
  entry(key: string): Entry {
    const value = this.#fields[key] ?? {};
    const isEmptyList = Array.isArray(value) && value.length === 0;
    return new Entry(isEmptyList ? {} : value, `${this.where}, '${key}'`);
  }

  object(key: string): JsonObject {
    return this.entry(key).#fields;
  }

  /** An object, or a list of pairs, as RabbitMQ 3.10 writes that of operator policies. */
  settings(key: string): JsonObject {
    const value = this.#fields[key];
    const isPairs = Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2);
    return isPairs ? Object.fromEntries(value as [string, unknown][]) : this.object(key);
  }

  list<T>(key: string, read: (entry: Entry) => T): T[] {
    const value = this.#fields[key] ?? [];
    if (!Array.isArray(value)) throw invalid(`${this.where}, '${key}'`, 'a list');
    return value.map((one, i) => read(new Entry(one, `'${key}', number ${i + 1}`)));
  }

  /** A list, or, as RabbitMQ wrote before 3.8, one string with commas. */
  tags(): string[] {
    const value = this.#fields['tags'] ?? [];
    const tags = typeof value === 'string' ? value.split(',') : value;
    if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== 'string'))
      throw invalid(`${this.where}, 'tags'`, 'a list of strings');
    return (tags as string[]).map((tag) => tag.trim()).filter((tag) => tag !== '');
  }

  #typed(key: string, type: string, fallback: unknown): unknown {
    const value = this.#fields[key] ?? fallback;
    // The same word in the error as in JSON.
    if (typeof value !== type) throw invalid(`${this.where}, '${key}'`, `a ${type}`);
    return value;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BrokerError('INVALID_DEFINITION', 'The definitions are no JSON.', { cause });
  }
}

function invalid(where: string, wanted: string): BrokerError {
  return new BrokerError('INVALID_DEFINITION', `Of the definitions, ${where} must be ${wanted}.`);
}
