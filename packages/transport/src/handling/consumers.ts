import type { ConsumerControl, ConsumerState } from './consumer-control.js';
import type { QueueConsumer } from './queue-consumer.js';

/** The consumers of a service. */
export class Consumers implements ConsumerControl {
  readonly #consumers = new Map<string, QueueConsumer>();
  readonly #paused = new Set<string>();
  #stopped = false;

  /** Resolves when its messages come; those of a queue that was paused before stay there. */
  async start(queue: string, consumer: QueueConsumer): Promise<void> {
    this.#consumers.set(queue, consumer);
    if (!this.#paused.has(queue)) await consumer.start();
  }

  /** For good. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const consumer of this.#consumers.values()) consumer.stop();
  }

  pause(queue: string): void {
    this.#paused.add(queue);
    this.#consumers.get(queue)?.stop();
  }

  async resume(queue: string): Promise<void> {
    this.#paused.delete(queue);
    const consumer = this.#consumers.get(queue);
    if (this.#stopped || consumer === undefined) return;
    await consumer.start();
    // It may have been paused again meanwhile.
    if (this.#stopped || this.#paused.has(queue)) consumer.stop();
  }

  isPaused(queue: string): boolean {
    return this.#paused.has(queue);
  }

  stateOf(queue: string): ConsumerState {
    const consumer = this.#consumers.get(queue);
    if (consumer?.isDeleted === true) return 'deleted';
    if (this.#paused.has(queue)) return 'paused';
    return consumer?.isRunning === true ? 'running' : 'stopped';
  }
}
