import { assertPasswordHash, isHashingAlgorithm } from '../auth/password.js';
import type { PermissionPatterns, TopicPatterns } from '../auth/permissions.js';
import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import { Pattern } from '../pattern/pattern.js';
import type { AccessKey, Policy, UserDefinition, VhostDefinition } from './access-definitions.js';
import { type DefinitionLog, DefinitionTable } from './definition-table.js';
import { decodeKey } from './definitions.js';
import { Policies } from './policies.js';
import { assertPolicy } from './policy-check.js';
import { POLICY_KEYS, type PolicyKeys } from './policy-keys.js';

export const DEFAULT_VHOST = '/';

/** Told of what the registry has changed. */
export interface RegistryListener {
  /** It is to be made. */
  vhostAdded(name: string): void;
  /** It is to be emptied and forgotten; its definition goes afterwards. Throws when that can't be. */
  vhostDeleted(name: string): void;
  policiesChanged(vhost: string): void;
  userDeleted(name: string): void;
}

type KeyOf<Kind extends AccessKey[0]> = Extract<AccessKey, readonly [Kind, ...string[]]>;

/**
 * Users, permissions, vhosts and policies: what a broker has defined beside exchanges, queues and bindings. Changes take
 * effect at once, and are durable when the store says so. Methods throw INVALID_DEFINITION, and STORE_FAILED; then
 * nothing has changed.
 */
export class Registry {
  readonly #users: DefinitionTable<KeyOf<'user'>, UserDefinition>;
  readonly #vhosts: DefinitionTable<KeyOf<'vhost'>, VhostDefinition>;
  readonly #permissions: DefinitionTable<KeyOf<'permission'>, PermissionPatterns>;
  readonly #topicPermissions: DefinitionTable<KeyOf<'topic-permission'>, TopicPatterns>;
  readonly #policies: DefinitionTable<KeyOf<'policy'>, Policy>;
  readonly #operatorPolicies: DefinitionTable<KeyOf<'operator-policy'>, Policy>;
  readonly #policyKeys: PolicyKeys;
  /** By name, as an authenticator asks for them. */
  readonly #usersByName = new Map<string, UserDefinition>();
  #listener: RegistryListener | undefined;
  /** Vhosts whose policies have changed, while several changes are made together. */
  #changed: Set<string> | undefined;
  #version = 0;

  constructor(log: DefinitionLog, policyKeys: PolicyKeys = POLICY_KEYS) {
    const onChange = (): void => void this.#version++;
    this.#users = new DefinitionTable('user', log, onChange);
    this.#vhosts = new DefinitionTable('vhost', log, onChange);
    this.#permissions = new DefinitionTable('permission', log, onChange);
    this.#topicPermissions = new DefinitionTable('topic-permission', log, onChange);
    this.#policies = new DefinitionTable('policy', log, onChange);
    this.#operatorPolicies = new DefinitionTable('operator-policy', log, onChange);
    this.#policyKeys = policyKeys;
  }

  /** Takes what the store had. Call it once, before {@link listen}. */
  restore(definitions: ReadonlyMap<string, unknown>): void {
    for (const [text, value] of definitions) {
      const key = decodeKey(text);
      this.#users.restore(key, value);
      if (key[0] === 'user') this.#usersByName.set(key[1], value as UserDefinition);
      this.#vhosts.restore(key, value);
      if (key[0] === 'queue' || key[0] === 'exchange') this.#findVhost(key[1]);
      this.#permissions.restore(key, value);
      this.#topicPermissions.restore(key, value);
      this.#policies.restore(key, value);
      this.#operatorPolicies.restore(key, value);
    }
  }

  /** A repair may have kept what is in a vhost, and not the vhost's own definition. */
  #findVhost(name: string): void {
    if (this.vhosts.has(name)) return;
    this.#vhosts.restore(['vhost', name], { description: '', tags: [] });
  }

  /** One listener, from now on. */
  listen(listener: RegistryListener): void {
    this.#listener = listener;
  }

  /** Another number after each change: what was made of earlier definitions is to be made anew. */
  get version(): number {
    return this.#version;
  }

  // ---------------------------------------------------------------- users

  get users(): ReadonlyMap<string, UserDefinition> {
    return this.#usersByName;
  }

  /** Adds a user, or takes the place of one. Sessions that are open go on. */
  setUser(name: string, user: UserDefinition): void {
    assertName('user', name);
    if (!isHashingAlgorithm(user.hashingAlgorithm))
      throw invalid(`The hashing algorithm '${String(user.hashingAlgorithm)}' of user '${name}' is unknown.`);
    assertPasswordHash(user);
    this.#users.set(['user', name], user);
    this.#usersByName.set(name, user);
  }

  /** With all permissions; sessions of the user end. */
  deleteUser(name: string): void {
    this.#assertUser(name);
    this.#permissions.deleteAll(([, user]) => user === name);
    this.#topicPermissions.deleteAll(([, user]) => user === name);
    this.#users.delete(['user', name]);
    this.#usersByName.delete(name);
    this.#listener?.userDeleted(name);
  }

  // ---------------------------------------------------------------- vhosts

  /** The default one is always there. */
  get vhosts(): ReadonlyMap<string, VhostDefinition> {
    const defined = this.#vhosts.entries().map(([[, name], value]) => [name, value] as const);
    const description = 'Default virtual host';
    return new Map([[DEFAULT_VHOST, { description, tags: [] }], ...defined]);
  }

  /** Adds a vhost, or describes one anew. */
  setVhost(name: string, vhost: VhostDefinition): void {
    assertName('vhost', name);
    const isNew = !this.vhosts.has(name);
    this.#vhosts.set(['vhost', name], vhost);
    if (isNew) this.#listener?.vhostAdded(name);
  }

  /** With all that is in it, messages too; its sessions end. The default one stays. */
  deleteVhost(name: string): void {
    this.#assertVhost(name);
    if (name === DEFAULT_VHOST)
      throw invalid(`The vhost '${name}' can't be deleted: it is the default of every client.`);
    this.#listener?.vhostDeleted(name);
    this.#permissions.deleteAll(([, , vhost]) => vhost === name);
    this.#topicPermissions.deleteAll(([, , vhost]) => vhost === name);
    this.#policies.deleteAll(([, vhost]) => vhost === name);
    this.#operatorPolicies.deleteAll(([, vhost]) => vhost === name);
    this.#vhosts.delete(['vhost', name]);
  }

  // ---------------------------------------------------------------- permissions

  /** What a user may do in a vhost; undefined is nothing. */
  permission(user: string, vhost: string): PermissionPatterns | undefined {
    return this.#permissions.get(['permission', user, vhost]);
  }

  get permissions(): [KeyOf<'permission'>, PermissionPatterns][] {
    return this.#permissions.entries();
  }

  /** In effect for what is asked next. Throws for a user or vhost that is not there, and a pattern that can't be read. */
  setPermission(user: string, vhost: string, patterns: PermissionPatterns): void {
    this.#assertUserAndVhost(user, vhost);
    for (const source of [patterns.configure, patterns.write, patterns.read]) Pattern.of(source);
    this.#permissions.set(['permission', user, vhost], patterns);
  }

  /** The user can't use the vhost any more: what is asked for next is refused. */
  clearPermission(user: string, vhost: string): void {
    this.#assertUserAndVhost(user, vhost);
    this.#permissions.delete(['permission', user, vhost]);
    this.#topicPermissions.deleteAll((key) => key[1] === user && key[2] === vhost);
  }

  get topicPermissions(): [KeyOf<'topic-permission'>, TopicPatterns][] {
    return this.#topicPermissions.entries();
  }

  /** As {@link setPermission}, for the routing keys of one topic exchange. */
  setTopicPermission(key: KeyOf<'topic-permission'>, patterns: TopicPatterns): void {
    this.#assertUserAndVhost(key[1], key[2]);
    for (const source of [patterns.write, patterns.read]) Pattern.of(source);
    this.#topicPermissions.set(key, patterns);
  }

  /** Of one exchange, or, without it, of all in the vhost. */
  clearTopicPermissions(user: string, vhost: string, exchange?: string): void {
    this.#assertUserAndVhost(user, vhost);
    this.#topicPermissions.deleteAll(
      (key) => key[1] === user && key[2] === vhost && (exchange === undefined || key[3] === exchange),
    );
  }

  // ---------------------------------------------------------------- policies

  get policies(): [KeyOf<'policy'>, Policy][] {
    return this.#policies.entries();
  }

  get operatorPolicies(): [KeyOf<'operator-policy'>, Policy][] {
    return this.#operatorPolicies.entries();
  }

  /** Policies that `change` sets or clears take effect when it is done: each time every queue is looked at. */
  together(change: () => void): void {
    const changed = (this.#changed = new Set<string>());
    try {
      change();
    } finally {
      this.#changed = undefined;
      for (const vhost of changed) this.#policiesChanged(vhost);
    }
  }

  #policiesChanged(vhost: string): void {
    if (this.#changed === undefined) this.#listener?.policiesChanged(vhost);
    else this.#changed.add(vhost);
  }

  /** In effect at once, for what is there and for what comes. */
  setPolicy(vhost: string, name: string, policy: Policy): void {
    this.#assertSettable(vhost, name, policy);
    this.#policies.set(['policy', vhost, name], policy);
    this.#policiesChanged(vhost);
  }

  /** As {@link setPolicy}: it counts before policies, whose limits it can only lower. */
  setOperatorPolicy(vhost: string, name: string, policy: Policy): void {
    this.#assertSettable(vhost, name, policy);
    this.#operatorPolicies.set(['operator-policy', vhost, name], policy);
    this.#policiesChanged(vhost);
  }

  /** In effect at once. Throws when there is none of the name. */
  clearPolicy(vhost: string, name: string): void {
    this.#assertVhost(vhost);
    if (!this.#policies.delete(['policy', vhost, name])) throw noPolicy(name, vhost);
    this.#policiesChanged(vhost);
  }

  /** As {@link clearPolicy}. */
  clearOperatorPolicy(vhost: string, name: string): void {
    this.#assertVhost(vhost);
    if (!this.#operatorPolicies.delete(['operator-policy', vhost, name])) throw noPolicy(name, vhost);
    this.#policiesChanged(vhost);
  }

  /** Those of one vhost, ready to be asked. */
  policiesIn(vhost: string): Policies {
    const own = (all: [KeyOf<'policy' | 'operator-policy'>, Policy][]): [string, Policy][] =>
      all.flatMap(([key, policy]) => (key[1] === vhost ? [[key[2], policy]] : []));
    return new Policies(own(this.policies), own(this.operatorPolicies));
  }

  #assertSettable(vhost: string, name: string, policy: Policy): void {
    this.#assertVhost(vhost);
    assertName('policy', name);
    assertPolicy(name, policy, this.#policyKeys);
  }

  #assertUserAndVhost(user: string, vhost: string): void {
    this.#assertUser(user);
    this.#assertVhost(vhost);
  }

  #assertUser(name: string): void {
    if (!this.#usersByName.has(name)) throw invalid(`There is no user '${name}'.`);
  }

  #assertVhost(name: string): void {
    if (!this.vhosts.has(name)) throw invalid(`There is no vhost '${name}'.`);
  }
}

function assertName(what: string, name: string): void {
  if (name === '') throw invalid(`The name of a ${what} is empty.`);
  if (Buffer.byteLength(name) > LIMITS.shortStringBytesMax)
    throw invalid(`The name of the ${what} '${name.slice(0, 40)}…' is too long.`);
}

function noPolicy(name: string, vhost: string): BrokerError {
  return invalid(`There is no policy '${name}' in vhost '${vhost}'.`);
}

function invalid(what: string): BrokerError {
  return new BrokerError('INVALID_DEFINITION', what);
}
