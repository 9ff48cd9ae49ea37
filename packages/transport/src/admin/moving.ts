import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';

/** Moves that are under way at once, so that one commit or confirm serves many. */
const UNDER_WAY_MAX = 100;

/** Moves deliveries elsewhere, many at a time, in their order. What can't be moved is given back. */
export class Moving {
  readonly #link: Link;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Resolves when there is room for another. Throws, with nothing done, once one has failed. */
  async move(delivery: LinkDelivery, message: ForwardedMessage): Promise<void> {
    this.#assertNoFailure();
    const move = this.#move(delivery, message);
    this.#underWay.add(move);
    void move.finally(() => this.#underWay.delete(move));
    if (this.#underWay.size >= UNDER_WAY_MAX) await Promise.race(this.#underWay);
  }

  /** Resolves when all is done; rejects with the first failure. */
  async end(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#assertNoFailure();
  }

  async #move(delivery: LinkDelivery, message: ForwardedMessage): Promise<void> {
    try {
      await this.#link.forward(delivery, [message]);
    } catch (error) {
      this.#failure ??= { error };
      delivery.requeue({ failed: false });
    }
  }

  #assertNoFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
