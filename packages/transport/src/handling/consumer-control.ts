/** What the consumer of a queue does. `deleted`: its queue is gone. */
export type ConsumerState = 'running' | 'paused' | 'stopped' | 'deleted';

/** The consumers of a service, of which some may be paused. */
export interface ConsumerControl {
  /** No message of the queue comes any more; what runs goes on. Idempotent. */
  pause(queue: string): void;
  /** Resolves when messages come again. Idempotent. Rejects when the queue can't be consumed. */
  resume(queue: string): Promise<void>;
  isPaused(queue: string): boolean;
  stateOf(queue: string): ConsumerState;
}
