import { type DefinitionKey, encodeKey, type QueueDefinition } from './definitions/definitions.js';
import { DelayQueue, type Target } from './queue/delay-queue.js';
import type { QueueIds } from './queue/queue-ids.js';
import type { QueueEnvironment } from './queue/queue.js';
import { moveDelayed, type Sending } from './sending-on.js';

export interface DelayQueuesInit {
  readonly vhost: string;
  readonly environment: Pick<QueueEnvironment, 'store' | 'clock' | 'schedule' | 'later'> & {
    readonly ids: QueueIds;
  };
  readonly sending: Sending;
}

/** The queues in which exchanges of a virtual host hold what they delay: one for each, and named after it. */
export class DelayQueues {
  readonly #init: DelayQueuesInit;
  readonly #all = new Set<DelayQueue>();
  /** Of those that the store had, by their exchange. */
  readonly #knownIds = new Map<string, number>();

  constructor(init: DelayQueuesInit) {
    this.#init = init;
  }

  /** The store had it: before its exchange is made. */
  know(exchange: string, { id }: QueueDefinition): void {
    this.#knownIds.set(exchange, id);
  }

  /** Messages that wait for their time, in all of them. */
  get length(): number {
    let length = 0;
    for (const queue of this.#all) length += queue.length;
    return length;
  }

  /** The exchange's own. */
  of({ name: exchange, durable }: { readonly name: string; readonly durable: boolean }): DelayQueue {
    const { environment, sending } = this.#init;
    const { store, clock, schedule, later, ids } = environment;
    const known = this.#knownIds.get(exchange);
    const id = known ?? ids.take();
    const queue = new DelayQueue({
      id,
      // Nobody can declare such a queue: the name is reserved.
      name: `amq.delayed ${exchange}`,
      durable,
      store,
      clock,
      schedule,
      later,
      release: (entry, message) =>
        moveDelayed(sending, { queueId: id, entry, message }, exchange, clock.now()),
    });
    this.#all.add(queue);
    ids.add(queue);
    if (durable && known === undefined) this.#define(queue, { id, autoDelete: false, delays: exchange });
    return queue;
  }

  /** It is one of these, and its exchange is there. */
  has(target: Target): boolean {
    return target instanceof DelayQueue && this.#all.has(target);
  }

  /** Its exchange is gone, and with it what it holds. Throws STORE_FAILED, with nothing done. */
  remove(queue: DelayQueue): void {
    queue.delete();
    this.#all.delete(queue);
    this.#init.environment.ids.forget(queue);
    for (const [exchange, id] of this.#knownIds) if (id === queue.id) this.#knownIds.delete(exchange);
    if (queue.init.durable) this.#define(queue, null);
  }

  #define({ name }: DelayQueue, value: QueueDefinition | null): void {
    const key: DefinitionKey = ['queue', this.#init.vhost, name];
    this.#init.environment.store.define(encodeKey(key), value);
  }

  /** Nothing goes on any more. Idempotent. */
  stop(): void {
    for (const queue of this.#all) queue.stop();
  }
}
