import { Connection } from './connection.js';
import { DEFAULT_VHOST, type Registry } from './definitions/registry.js';
import { BrokerError, messageOf, systemCodeOf } from './errors.js';
import { MemoryWatch } from './memory-watch.js';
import { type BrokerOptions, normaliseOptions, type NormalisedBrokerOptions } from './options.js';
import { ownStore } from './own-store.js';
import { PublishGate } from './publish-gate.js';
import { Retries } from './retries.js';
import { acquireDirectory, type DirectoryLock } from './store/directory-lock.js';
import { JournalStore } from './store/journal-store.js';
import { MemoryStore } from './store/memory-store.js';
import type { QueueState } from './queue/queue-state.js';
import type { MessageStore } from './store/message-store.js';
import { nodeFileSystem } from './store/node-file-system.js';
import { Turns } from './turns.js';
import { Vhosts } from './vhosts.js';

/** A message that could not be read is tried again this much later. Milliseconds. */
const READ_AGAIN_MS = 5000;

/** Of {@link Broker.connect}. */
export interface ConnectOptions {
  /** @default '/' */
  readonly vhost?: string;
  /** Whose session it is: it ends when the user is deleted. @default nobody's: the application's own */
  readonly user?: string;
  /** Told, in RabbitMQ's words, when the session was ended from inside. @default nothing is done */
  readonly onEnd?: (reason: string) => void;
}

interface Parts {
  readonly vhosts: Vhosts;
  readonly store: MessageStore;
  readonly gate: PublishGate;
  readonly lock: DirectoryLock | undefined;
  readonly memory: MemoryWatch | undefined;
  readonly retries: Retries;
}

/** The engine: everything but sockets. Made by {@link openBroker}. */
export class Broker {
  readonly #connections = new Set<Connection>();
  readonly #parts: Parts;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(parts: Parts) {
    this.#parts = parts;
    const { vhosts } = parts;
    this.registry.listen({
      vhostAdded: (name) => vhosts.vhostAdded(name),
      vhostDeleted: (name) => {
        vhosts.vhostDeleted(name);
        this.#end(`vhost '${name}' is deleted`, (one) => one.vhostName === name);
      },
      policiesChanged: (vhost) => vhosts.policiesChanged(vhost),
      userDeleted: (name) => this.#end(`user '${name}' is deleted`, (one) => one.user === name),
    });
  }

  /** Opens a session. Throws NOT_ALLOWED when there is no such vhost, CLOSED after {@link close}. */
  connect({ vhost = DEFAULT_VHOST, user, onEnd }: ConnectOptions = {}): Connection {
    if (this.#closing !== undefined) throw new BrokerError('CLOSED', 'The broker is closed.');
    const { vhosts, store, gate } = this.#parts;
    const onClose = (closed: Connection): boolean => this.#connections.delete(closed);
    const connection = new Connection({ vhost: vhosts.get(vhost), user, store, gate, onClose, onEnd });
    this.#connections.add(connection);
    return connection;
  }

  #end(reason: string, isMeant: (connection: Connection) => boolean): void {
    for (const connection of this.#connections) if (isMeant(connection)) connection.end(reason);
  }

  /** All queues of a vhost as they are now. Throws NOT_ALLOWED when there is no such vhost. */
  queues(vhost: string = DEFAULT_VHOST): QueueState[] {
    return this.#parts.vhosts.get(vhost).queueStates;
  }

  /** Messages that exchanges of a vhost hold until their time. Throws NOT_ALLOWED when there is no such vhost. */
  delayedCount(vhost: string = DEFAULT_VHOST): number {
    return this.#parts.vhosts.get(vhost).delayedCount;
  }

  /**
   * Ends all sessions of a vhost, telling clients why, and deletes what is in it: queues with their messages, exchanges,
   * bindings. Its policies and permissions stay. Throws NOT_ALLOWED when there is no such vhost, and STORE_FAILED while the
   * store does not work, when sessions have ended and all else is as it was.
   */
  clear(vhost: string = DEFAULT_VHOST): void {
    const cleared = this.#parts.vhosts.get(vhost);
    this.#end(`vhost '${vhost}' is cleared`, (one) => one.vhostName === vhost);
    cleared.clear();
  }

  /** Users, permissions, vhosts, policies. What changes is durable after `durable()`. */
  get registry(): Registry {
    return this.#parts.vhosts.registry;
  }

  /** Resolves when everything done before is durable; rejects with STORE_FAILED when that can't be known. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#parts.store.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** {@link close} was called. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Why nothing is accepted now, if so: a write failed. Gone when the disk has proved itself again (J5). */
  get failure(): Error | undefined {
    return this.#parts.store.failure;
  }

  /** Why publishers are blocked now, if so: the disk is nearly full, or memory. Consumers go on. */
  get blocked(): string | undefined {
    return this.#parts.gate.reason;
  }

  /** Blocks publishers for a reason in words, as a full disk does; undefined takes it back. Consumers go on. */
  block(reason: string | undefined): void {
    this.#parts.gate.set('owner', reason);
  }

  /** Ends the sessions of users, which AMQP clients have, and tells them why; the application's own go on. */
  disconnectUsers(reason: string): void {
    this.#end(reason, ({ user }) => user !== undefined);
  }

  /**
   * Closes all connections, makes everything durable, and lets go of the directory. Resolves when that is done;
   * rejects with STORE_FAILED when the store had failed before, after letting go all the same. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      for (const connection of this.#connections) connection.close();
    } finally {
      this.#parts.vhosts.close();
      this.#parts.retries.close();
      this.#parts.gate.close();
      this.#parts.memory?.close();
      await this.#letGo();
    }
  }

  async #letGo(): Promise<void> {
    try {
      await this.#parts.store.close();
    } finally {
      await this.#parts.lock?.release();
    }
  }
}

/**
 * Opens a broker on a directory, in memory, or on a store of another make. Resolves when what is there has been read back.
 *
 * Rejects with INVALID_OPTION, DIRECTORY_UNUSABLE (can't be made, read or written), DIRECTORY_LOCKED (another broker
 * has it), JOURNAL_DAMAGED or JOURNAL_VERSION, or as an own store does; the data is then as it was.
 */
export async function openBroker(options: BrokerOptions = {}): Promise<Broker> {
  const normalised = normaliseOptions(options);
  const gate = new PublishGate();
  if (normalised.store !== undefined)
    return start(ownStore(normalised.store, normalised, gate), { ...normalised, gate });
  if (normalised.directory === undefined) return start(new MemoryStore(), { ...normalised, gate });
  const { directory, fileSystem } = normalised;
  await usable(directory, 'made', () => fileSystem.makeDirectory(directory));
  // Only a real directory can be another process's; a simulated one belongs to the test that made it.
  const lock =
    fileSystem === nodeFileSystem
      ? await usable(directory, 'locked', () => acquireDirectory(directory))
      : undefined;
  try {
    const store = new JournalStore({
      ...normalised,
      directory: `${directory}/journal`,
      onBlocked: (reason) => gate.set('disk', reason),
      onBacklog: (reason) => gate.set('backlog', reason),
    });
    return await start(store, { ...normalised, gate, lock });
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

async function start(
  store: MessageStore,
  options: NormalisedBrokerOptions & {
    readonly gate: PublishGate;
    readonly lock?: DirectoryLock | undefined;
  },
): Promise<Broker> {
  const { directory, clock, gate, lock, memoryGauge: gauge, memoryHighWatermark } = options;
  const recovered =
    directory === undefined ? await store.open() : await usable(directory, 'used', () => store.open());
  const retries = new Retries(clock, READ_AGAIN_MS);
  const vhosts = new Vhosts({
    store,
    clock,
    random: Math.random,
    schedule: new Turns().schedule,
    later: retries.later,
    onReadFailure: (queue, cause) => options.onFailure(standsStill(queue.name, cause)),
  });
  try {
    vhosts.restore(recovered);
  } catch (error) {
    await store.close();
    throw error;
  }
  store.compactFor(vhosts.ids);
  const watch =
    memoryHighWatermark === undefined
      ? undefined
      : new MemoryWatch({
          gauge,
          clock,
          highWatermark: memoryHighWatermark,
          onChange: (reason) => gate.set('memory', reason),
        });
  return new Broker({ vhosts, store, gate, lock, memory: watch, retries });
}

function standsStill(queue: string, cause: unknown): BrokerError {
  const what = `Queue '${queue}' stands still: a message can't be read (${messageOf(cause)}).`;
  const cure = 'No message was skipped. Cure the disk: it is tried again by itself.';
  return new BrokerError('STORE_FAILED', what, { severity: 'broker', cure, cause });
}

/** Turns the system's errors into one that says what to do. */
export async function usable<R>(directory: string, verb: string, operation: () => Promise<R>): Promise<R> {
  try {
    return await operation();
  } catch (cause) {
    const code = systemCodeOf(cause);
    if (code === undefined || cause instanceof BrokerError) throw cause;
    throw new BrokerError(
      'DIRECTORY_UNUSABLE',
      `The directory '${directory}' can't be ${verb}: ${reasonOf(code)} (${code}).`,
      {
        severity: 'broker',
        cure: 'Give a directory that this user may create, read and write.',
        cause,
      },
    );
  }
}

function reasonOf(code: string): string {
  const reasons: Record<string, string> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the file system is read-only',
    EEXIST: 'there is a file of that name',
    ENOTDIR: 'a part of the path is a file',
    ENOENT: 'a part of the path does not exist and can not be made',
    ENOSPC: 'the disk is full',
  };
  return reasons[code] ?? 'the system refused';
}
