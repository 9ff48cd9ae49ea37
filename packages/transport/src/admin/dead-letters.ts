import { randomUUID } from 'node:crypto';
import { HEADER } from '../envelope.js';
import { assertKeys, type Duration, integer, retryDelay } from '../option-checks.js';
import type { LinkDelivery } from '../links/link.js';
import { type DeadLetterMessage, deadLetterOf, queueOf } from './queued-message.js';
import { Moving } from './moving.js';
import { redriven } from './redrive.js';
import { scan, type Verdict } from './scan.js';
import type { Service } from './service.js';

/**
 * Which dead letters, the oldest first.
 *
 * @publicApi
 */
export interface DeadLetterSelection {
  /** How many at most. Whole number, 1 to 1,000,000; 1 to 10,000 for a list. @default 100 for a list, else all */
  readonly limit?: number;
  /** Which ones. @default all */
  readonly filter?: (letter: DeadLetterMessage) => boolean | Promise<boolean>;
}

/**
 * Which dead letters go back, and when.
 *
 * @publicApi
 */
export interface RedriveOptions extends DeadLetterSelection {
  /** How long each waits before it comes to its handler. Milliseconds or `'5m'`, up to 30 days. @default 0 */
  readonly delay?: Duration;
}

/**
 * What a redrive or a discard has done.
 *
 * @publicApi
 */
export interface DeadLetterResult {
  /** How many were redriven, or discarded. */
  readonly count: number;
  /**
   * Whether all that were there at the beginning were looked at: not if the limit was reached, or if more than 10,000 of them
   * (64 MiB) were to stay: a narrower filter, or a redrive of what comes first, gets further.
   */
  readonly complete: boolean;
}

const SELECTION_KEYS: readonly string[] = ['limit', 'filter'];
const LIST_MAX = 10_000;
const MOVE_MAX = 1_000_000;

/**
 * The dead letters of one queue, the oldest first. What is not chosen stays in its place; it is marked as redelivered by
 * that, and out of reach of others until the end. Letters that come in meanwhile may be seen or not; it ends all the same, and
 * one redrive never moves a letter twice.
 *
 * @publicApi
 */
export class DeadLetters {
  readonly #service: Service;
  readonly #queue: string;
  readonly #names: Iterable<string>;
  readonly #assertKnown: () => Promise<void>;

  /** `assertKnown` rejects when there is no such queue. @internal */
  constructor(
    service: Service,
    queue: string,
    names: Iterable<string>,
    assertKnown: () => Promise<void> = async () => {},
  ) {
    this.#service = service;
    this.#queue = queue;
    this.#names = names;
    this.#assertKnown = assertKnown;
  }

  /** They stay where they are. Throws what the filter throws. */
  async list(selection: DeadLetterSelection = {}): Promise<readonly DeadLetterMessage[]> {
    assertKeys('list', selection, SELECTION_KEYS);
    const { limit, filter } = selection;
    const most = integer('limit', limit, 100, 1, LIST_MAX);
    const letters: DeadLetterMessage[] = [];
    await this.#each(most, filter, async (_, letter) => {
      letters.push(letter);
      return 'keep';
    });
    return letters;
  }

  /**
   * Moves them back to their queue, each in one step: never lost, and over AMQP at worst there twice after a crash. Their
   * attempts start again, and of several handlers of one event only those run that had failed. Resolves when it is durable.
   * Rejects, with the rest in its place, when the broker can't, or with what the filter throws.
   */
  async redrive(options: RedriveOptions = {}): Promise<DeadLetterResult> {
    assertKeys('redrive', options, [...SELECTION_KEYS, 'delay']);
    const { limit, filter, delay } = options;
    const { link, clock } = this.#service;
    const delayMs = retryDelay('delay', delay, 0);
    const most = integer('limit', limit, MOVE_MAX, 1, MOVE_MAX);
    const moving = new Moving(link());
    const id = randomUUID();
    let isAround = false;
    try {
      const result = await this.#each(most, filter, async (delivery) => {
        // What failed again has come to the end of the queue: all before it have been seen.
        isAround = delivery.message.properties.headers?.[HEADER.redrive] === id;
        if (isAround) return 'end';
        const redrive = { id, queue: this.#queue, delayMs, nowMs: clock.now() };
        await moving.move(delivery, redriven(delivery.message, redrive));
        return 'settled';
      });
      return isAround ? { ...result, complete: true } : result;
    } finally {
      await moving.end();
    }
  }

  /** Deletes them. Resolves when it is durable; rejects as {@link redrive}. */
  async discard(selection: DeadLetterSelection = {}): Promise<DeadLetterResult> {
    assertKeys('discard', selection, SELECTION_KEYS);
    const { limit, filter } = selection;
    const most = integer('limit', limit, MOVE_MAX, 1, MOVE_MAX);
    const result = await this.#each(most, filter, async (delivery) => {
      delivery.ack();
      return 'settled';
    });
    await this.#service.link().flush();
    return result;
  }

  async #each(
    limit: number,
    filter: NonNullable<DeadLetterSelection['filter']> = () => true,
    act: (delivery: LinkDelivery, letter: DeadLetterMessage) => Promise<Verdict>,
  ): Promise<DeadLetterResult> {
    let count = 0;
    const judge = async (delivery: LinkDelivery): Promise<Verdict> => {
      if (count >= limit) return 'end';
      const { message } = delivery;
      // Queues may share one for their dead letters.
      if ((queueOf(message) ?? this.#queue) !== this.#queue) return 'keep';
      const letter = await deadLetterOf(message, this.#service.wire, this.#queue);
      if (!(await filter(letter))) return 'keep';
      const verdict = await act(delivery, letter);
      if (verdict !== 'end') count++;
      return verdict;
    };
    await this.#assertKnown();
    let complete = true;
    for (const name of this.#names) complete = (await scan(this.#service.link(), name, judge)) && complete;
    return { count, complete };
  }
}
