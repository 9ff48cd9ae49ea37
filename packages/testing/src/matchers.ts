import type { WaitOptions } from './idle.js';
import type { SeenMessage } from './seen.js';
import type { Predicate, Sightings } from './sightings.js';
import { inspect } from './timeline.js';

/** What a matcher is called on: what `expect` of Jest, and of all that is compatible with it, gives it. */
export interface MatcherContext {
  readonly isNot?: boolean;
  /** Deep equality, with asymmetric matchers. `testers`: how else things may be equal. */
  equals(actual: unknown, expected: unknown, testers?: unknown[]): boolean;
  /** Those that `expect` was told of. */
  readonly customTesters?: unknown[];
  /** What `expect` has for those who write matchers. */
  readonly utils?: {
    /** A value, or an asymmetric matcher, in words. */
    readonly stringify?: (value: unknown) => string;
    /** Sets and maps are equal when what is in them is. */
    readonly iterableEquality?: unknown;
  };
}

/** What Jest's `extend` wants of a matcher: `pass` is without `not`, `message` tells why it failed. */
export interface MatcherResult {
  readonly pass: boolean;
  /** What to print when the expectation fails. */
  readonly message: () => string;
}

/** Whose messages are looked at: a QueueTestHarness. */
export interface WatchedHarness {
  /** See QueueTestHarness. */
  published(pattern: string, predicate?: Predicate<SeenMessage>): Sightings<SeenMessage>;
  /** See QueueTestHarness. */
  consumed(pattern: string, predicate?: Predicate<SeenMessage>): Sightings<SeenMessage>;
  /** See QueueTestHarness. */
  deadLettered(pattern: string, predicate?: Predicate<SeenMessage>): Sightings<SeenMessage>;
}

/** The matchers as they are called; all are to be awaited. `data`: equal, or as an asymmetric matcher says. @default any */
export interface QueueMatchers<R = Promise<void>> {
  /** The application has published such a message, or does so within the timeout. `not`: it has not until now. */
  toHavePublished(pattern: string, data?: unknown, options?: WaitOptions): R;
  /** A handler is done with such a message. As {@link toHavePublished}. */
  toHaveConsumed(pattern: string, data?: unknown, options?: WaitOptions): R;
  /** The service has given up such a message. As {@link toHavePublished}. */
  toHaveDeadLettered(pattern: string, data?: unknown, options?: WaitOptions): R;
}

type Verb = keyof WatchedHarness;

type Matcher = (
  this: MatcherContext,
  harness: WatchedHarness,
  pattern: string,
  data?: unknown,
  options?: WaitOptions,
) => Promise<MatcherResult>;

/**
 * For `expect.extend`. What is asserted not to be is looked at once, as it is now: `await harness.idle()` before.
 */
export const queueMatchers: { readonly [K in keyof QueueMatchers]: Matcher } = {
  toHavePublished: matcher('published'),
  toHaveConsumed: matcher('consumed'),
  toHaveDeadLettered: matcher('deadLettered'),
};

function matcher(verb: Verb): Matcher {
  return async function look(this: MatcherContext, harness, pattern, data, options = {}) {
    assertHarness(harness);
    const { customTesters = [], utils = {} } = this;
    const testers = [...customTesters, utils.iterableEquality].filter((one) => one !== undefined);
    const isMeant: Predicate<SeenMessage> = (seen) =>
      data === undefined || this.equals(seen.data, data, testers);
    const sightings = harness[verb](pattern, isMeant);
    const call = data === undefined ? '' : `With the data ${(utils.stringify ?? inspect)(data)}: `;
    if (this.isNot === true)
      return {
        pass: sightings.count > 0,
        message: () => `${call}Expected none, but there are ${sightings.describe()}`,
      };
    try {
      await sightings.first(options);
      return { pass: true, message: () => sightings.describe() };
    } catch (miss) {
      return { pass: false, message: () => `${call}${(miss as Error).message}` };
    }
  };
}

function assertHarness(harness: unknown): asserts harness is WatchedHarness {
  if (harness instanceof Object && 'deadLettered' in harness) return;
  throw new TypeError(
    `Only a QueueTestHarness has messages: expect(harness), not expect(${inspect(harness)}).`,
  );
}
