import type { WaitOptions } from './idle.js';
import type { SeenMessage } from './seen.js';
import type { Predicate, Sightings } from './sightings.js';

/** What a matcher is called on: what `expect` of Jest, and of all that is compatible with it, gives it. */
export interface MatcherContext {
  readonly isNot?: boolean;
  /** Deep equality, with asymmetric matchers. */
  equals(actual: unknown, expected: unknown): boolean;
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
    const isMeant: Predicate<SeenMessage> = (seen) => data === undefined || this.equals(seen.data, data);
    const sightings = harness[verb](pattern, isMeant);
    if (this.isNot === true)
      return {
        pass: sightings.count > 0,
        message: () => `Expected none, but there are ${sightings.describe()}`,
      };
    try {
      await sightings.first(options);
      return { pass: true, message: () => sightings.describe() };
    } catch (miss) {
      return { pass: false, message: () => (miss as Error).message };
    }
  };
}
