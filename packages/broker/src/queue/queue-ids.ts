import type { Residence, Residents } from '../store/message-store.js';
import type { DelayQueue } from './delay-queue.js';
import type { Queue } from './queue.js';

/** The queues of all vhosts by id: the store knows them by nothing else, so an id is never given twice. */
export class QueueIds implements Residents {
  readonly #queues = new Map<number, Queue | DelayQueue>();
  #next = 1;

  take(): number {
    return this.#next++;
  }

  /** It was given before; also when its queue is no more. */
  skip(id: number): void {
    this.#next = Math.max(this.#next, id + 1);
  }

  add(queue: Queue | DelayQueue): void {
    this.skip(queue.init.id);
    this.#queues.set(queue.init.id, queue);
  }

  forget(queue: Queue | DelayQueue): void {
    this.#queues.delete(queue.init.id);
  }

  get(id: number): Queue | DelayQueue | undefined {
    return this.#queues.get(id);
  }

  /** As the store asks before it brings a message forward. */
  find(queueId: number, sequence: number): Residence | undefined {
    return this.#queues.get(queueId)?.find(sequence);
  }

  relocate(queueId: number, sequence: number, position: number): void {
    this.#queues.get(queueId)?.find(sequence, position);
  }
}
