import { decodeKey, type QueueDefinition } from './definitions/definitions.js';
import { Registry, type RegistryListener } from './definitions/registry.js';
import { connectionError } from './errors.js';
import { QueueIds } from './queue/queue-ids.js';
import type { Recovered } from './store/message-store.js';
import { damagedDefinitions } from './refusals.js';
import { Vhost, type VhostEnvironment } from './vhost.js';

/** The vhosts of a broker: each with exchanges and queues of its own, all in one store. */
export class Vhosts implements Omit<RegistryListener, 'userDeleted'> {
  readonly registry: Registry;
  readonly #environment: VhostEnvironment;
  readonly #vhosts = new Map<string, Vhost>();

  constructor(environment: Omit<VhostEnvironment, 'ids'>) {
    this.#environment = { ...environment, ids: new QueueIds() };
    this.registry = new Registry(environment.store);
  }

  /** The queues of all of them, as the store asks for them. */
  get ids(): QueueIds {
    return this.#environment.ids;
  }

  /**
   * Rebuilds what the store had. Messages of queues that are no more are settled. Throws JOURNAL_DAMAGED when definitions
   * are missing.
   */
  restore({ definitions, entries, lacksSnapshot }: Recovered): void {
    this.registry.restore(definitions);
    const all = [...definitions].map(([key, value]) => [decodeKey(key), value] as const);
    // Before any is given anew.
    for (const [key, value] of all) if (key[0] === 'queue') this.ids.skip((value as QueueDefinition).id);
    for (const name of this.registry.vhosts.keys()) this.#add(name).restore(all);
    // Before there are messages: what has expired meanwhile goes where a policy says.
    for (const name of this.#vhosts.keys()) this.policiesChanged(name);
    this.#restoreEntries(entries, lacksSnapshot);
  }

  #restoreEntries(entries: Recovered['entries'], lacksSnapshot: boolean): void {
    const { ids, store } = this.#environment;
    for (const [id, stored] of entries) {
      ids.skip(id);
      const queue = ids.get(id);
      if (queue !== undefined) queue.restore(stored);
      else if (lacksSnapshot)
        throw damagedDefinitions(
          `definitions.json is missing, and ${stored.length} messages are of a queue that nothing else names`,
        );
      else store.discard(id, stored.sequences.at(-1) ?? 0, [], stored.positions);
    }
  }

  /** Throws NOT_ALLOWED, as RabbitMQ answers `connection.open`. */
  get(name: string): Vhost {
    const vhost = this.#vhosts.get(name);
    if (vhost === undefined) throw connectionError('NOT_ALLOWED', `vhost ${name} not found`);
    return vhost;
  }

  vhostAdded(name: string): void {
    this.#add(name);
  }

  vhostDeleted(name: string): void {
    this.get(name).clear();
    this.#vhosts.delete(name);
  }

  policiesChanged(name: string): void {
    this.#vhosts.get(name)?.applyPolicies(this.registry.policiesIn(name));
  }

  /** Nothing happens by itself any more. Idempotent. */
  close(): void {
    for (const vhost of this.#vhosts.values()) vhost.close();
  }

  #add(name: string): Vhost {
    const vhost = new Vhost(name, this.#environment);
    this.#vhosts.set(name, vhost);
    return vhost;
  }
}
