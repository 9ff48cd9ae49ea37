import { DEFAULT_USER } from '../auth/authenticator.js';
import {
  type Permission,
  type PermissionPatterns,
  Permissions,
  TopicPermissions,
  type TopicPatterns,
} from '../auth/permissions.js';
import type { Broker } from '../broker.js';
import type { Connection } from '../connection.js';
import type { Registry } from '../definitions/registry.js';
import { AmqpError } from './amqp-error.js';

export type ResourceKind = 'queue' | 'exchange';

/** A session of a user in a vhost, and what the user may do there. */
export interface Entered {
  readonly engine: Connection;
  readonly access: Access;
}

/** Throws NOT_ALLOWED (530) when there is no such vhost, or the user has no permissions in it. */
export function enter(broker: Broker, user: string, vhost: string, onEnd: (reason: string) => void): Entered {
  const engine = broker.connect({ vhost, user, onEnd });
  const access = new Access(broker.registry, user, vhost);
  try {
    access.enter();
  } catch (error) {
    engine.close();
    throw error;
  }
  return { engine, access };
}

const EVERYTHING: PermissionPatterns = { configure: '.*', write: '.*', read: '.*' };
/** As permissions name the default exchange. */
const DEFAULT_EXCHANGE = 'amq.default';

/** What the user of one connection may do in its vhost. Changes of permissions count for what is asked next. */
export class Access {
  readonly #registry: Registry;
  #version = -1;
  #permissions: Permissions | undefined;
  #topics: TopicPermissions | undefined;
  #mayImpersonate = false;

  constructor(
    registry: Registry,
    readonly user: string,
    readonly vhost: string,
  ) {
    this.#registry = registry;
  }

  /** Throws NOT_ALLOWED (530) when the user has no permissions in the vhost. */
  enter(): void {
    this.#refresh();
    if (this.#permissions !== undefined) return;
    throw new AmqpError('NOT_ALLOWED', `access to vhost '${this.vhost}' refused for user '${this.user}'`);
  }

  /** Throws ACCESS_REFUSED (403), here and below. */
  configure(kind: ResourceKind, name: string): void {
    this.#assert('configure', kind, name);
  }

  write(kind: ResourceKind, name: string): void {
    this.#assert('write', kind, name);
  }

  read(kind: ResourceKind, name: string): void {
    this.#assert('read', kind, name);
  }

  /** Whether topic permissions say something about this exchange, if it is a topic exchange. */
  restrictsTopics(exchange: string): boolean {
    this.#refresh();
    return this.#topics?.restricts(exchange) === true;
  }

  topic(permission: keyof TopicPatterns, exchange: string, routingKey: string): void {
    this.#refresh();
    if (this.#topics?.allows(permission, exchange, routingKey) !== false) return;
    throw this.#refused(`topic '${routingKey}' in exchange '${exchange}'`);
  }

  /** Whether messages may name another user in `user-id` (RabbitMQ's tag `impersonator`). */
  get mayImpersonate(): boolean {
    this.#refresh();
    return this.#mayImpersonate;
  }

  #assert(permission: Permission, kind: ResourceKind, given: string): void {
    this.#refresh();
    const name = given === '' && kind === 'exchange' ? DEFAULT_EXCHANGE : given;
    if (this.#permissions?.allows(permission, name) === true) return;
    throw this.#refused(`${kind} '${name}'`);
  }

  #refused(what: string): AmqpError {
    return new AmqpError(
      'ACCESS_REFUSED',
      `access to ${what} in vhost '${this.vhost}' refused for user '${this.user}'`,
    );
  }

  #refresh(): void {
    const registry = this.#registry;
    if (this.#version === registry.version) return;
    this.#version = registry.version;
    const patterns = patternsOf(registry, this.user, this.vhost);
    this.#permissions = patterns && new Permissions(patterns);
    this.#mayImpersonate = registry.users.get(this.user)?.tags.includes('impersonator') ?? false;
    const topics = registry.topicPermissions.filter(
      ([[, user, vhost]]) => user === this.user && vhost === this.vhost,
    );
    this.#topics =
      topics.length === 0
        ? undefined
        : new TopicPermissions(
            topics.map(([key, topic]) => [key[3], topic]),
            this.user,
            this.vhost,
          );
  }
}

/** As long as no user is defined, the default one may do everything everywhere. */
function patternsOf(registry: Registry, user: string, vhost: string): PermissionPatterns | undefined {
  if (registry.users.size === 0 && user === DEFAULT_USER) return EVERYTHING;
  return registry.permission(user, vhost);
}
