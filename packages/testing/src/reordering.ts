import type { WitnessedArrival } from '@nestmq/transport';
import { isMeant } from './matching.js';
import type { SeenMessage } from './seen.js';

/** The others have to come within this, of real time, once one is held back. Milliseconds. */
const COMPLETE_MS_MAX = 2000;

interface HeldBack {
  readonly arrival: WitnessedArrival;
  readonly seen: SeenMessage;
  readonly handOver: () => void;
}

export interface ReorderingInit {
  readonly note: (seen: SeenMessage, what: string) => void;
  readonly timeline: () => string;
}

/** Messages that are held back until there are as many as were asked for, to be handed over the last one first. */
class Reordering {
  readonly handedOver: Promise<readonly SeenMessage[]>;
  #held: HeldBack[] = [];
  #isOver = false;
  #resolve!: (seen: readonly SeenMessage[]) => void;
  #reject!: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly pattern: string,
    private readonly count: number,
    private readonly init: ReorderingInit,
  ) {
    this.handedOver = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  wants(pattern: string): boolean {
    return !this.#isOver && this.#held.length < this.count && isMeant(this.pattern, pattern);
  }

  /** Resolves when it is this one's turn. */
  hold(arrival: WitnessedArrival, seen: SeenMessage): Promise<void> | undefined {
    const { queue, prefetchCount } = arrival;
    if (prefetchCount < this.count) {
      const why = `the queue '${queue}' hands over ${prefetchCount} message(s) at once (prefetchCount), so the next ones do not come before those are settled`;
      this.#fail(why);
      return undefined;
    }
    this.#timer ??= setTimeout(() => {
      this.#fail(`only ${this.#held.length} of them came within ${COMPLETE_MS_MAX} ms`);
    }, COMPLETE_MS_MAX);
    return new Promise((resolve) => {
      this.#held.push({ arrival, seen, handOver: resolve });
      this.init.note(seen, `held back, ${this.#held.length} of ${this.count} (reorderNext)`);
      // Who holds the last one waits for it by then, as the others do.
      if (this.#held.length === this.count) queueMicrotask(() => this.#handOver());
    });
  }

  #handOver(): void {
    if (this.#isOver) return;
    const order = lastFirst(this.#held);
    if (order.every((one, place) => one === this.#held[place])) {
      const [key = ''] = this.#held[0]?.arrival.orderingKeys ?? [];
      return this.#fail(
        `all of them have the ordering key '${key}', and messages of one key keep their order`,
      );
    }
    this.#held = order;
    this.release();
    this.#resolve(order.map(({ seen }) => seen));
  }

  #fail(why: string): void {
    this.release();
    const what = `reorderNext('${this.pattern}', ${this.count}) can't be met: ${why}.`;
    this.#reject(new Error(`${what}\n\n${this.init.timeline()}`));
  }

  /** Hands over what is held. Idempotent. */
  release(): void {
    const held = this.#end();
    for (const { seen, handOver } of held) {
      this.init.note(seen, 'handed over (reorderNext)');
      handOver();
    }
  }

  /** Nobody is there any more to be handed anything. Idempotent. */
  drop(): void {
    this.#end();
  }

  #end(): readonly HeldBack[] {
    clearTimeout(this.#timer);
    this.#isOver = true;
    const held = this.#held;
    this.#held = [];
    return held;
  }
}

/** The last one first, but those with the same ordering key in the order in which they came. */
function lastFirst(held: readonly HeldBack[]): HeldBack[] {
  const left = [...held];
  const order: HeldBack[] = [];
  while (left.length > 0) {
    const place = left.findLastIndex(
      (one, at) => !left.slice(0, at).some((before) => isOrdered(before, one)),
    );
    order.push(...left.splice(place, 1));
  }
  return order;
}

function isOrdered({ arrival: before }: HeldBack, { arrival: after }: HeldBack): boolean {
  return before.orderingKeys.some((key) => after.orderingKeys.includes(key));
}

/** What is to be handed over in another order, and has not yet. */
export class Reorderings {
  readonly #init: ReorderingInit;
  #planned: Reordering[] = [];

  constructor(init: ReorderingInit) {
    this.#init = init;
  }

  plan(pattern: string, count: number): Promise<readonly SeenMessage[]> {
    if (!Number.isInteger(count) || count < 2)
      throw new TypeError(`reorderNext('${pattern}', ${count}): give a whole number of messages, 2 or more.`);
    const reordering = new Reordering(pattern, count, this.#init);
    this.#planned.push(reordering);
    return reordering.handedOver;
  }

  hold(arrival: WitnessedArrival, seen: SeenMessage): Promise<void> | undefined {
    return this.#planned.find((one) => one.wants(arrival.pattern))?.hold(arrival, seen);
  }

  release(): void {
    for (const reordering of this.#planned.splice(0)) reordering.release();
  }

  drop(): void {
    for (const reordering of this.#planned.splice(0)) reordering.drop();
  }
}
