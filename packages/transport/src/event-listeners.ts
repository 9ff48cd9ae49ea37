import type { Logger } from '@nestjs/common';

/** Who listens to what, by name. What a listener throws is logged, and harms nobody else. */
export class EventListeners<E extends Record<keyof E, (argument: never) => void>> {
  readonly #listeners = new Map<keyof E, Set<(argument: never) => void>>();

  constructor(private readonly logger: Pick<Logger, 'error'>) {}

  add<K extends keyof E>(event: K, listener: E[K]): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  tell<K extends keyof E>(event: K, ...[argument]: Parameters<E[K]>): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        (listener as (one: unknown) => void)(argument);
      } catch (error) {
        this.logger.error(error);
      }
    }
  }
}
