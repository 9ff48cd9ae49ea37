/**
 * What a contract needs of a test runner: Jest's and Vitest's functions as they are; of `node:test` with
 * `beforeAll: (work) => before(work)`, `afterAll: after`, and the package `expect`.
 *
 * @publicApi
 */
export interface ContractRunner {
  describe(title: string, define: () => void): unknown;
  readonly it: ContractIt;
  beforeAll(work: () => Promise<void>, timeoutMs?: number): unknown;
  afterEach(work: () => Promise<void>): unknown;
  afterAll(work: () => Promise<void>): unknown;
  readonly expect: ContractExpect;
}

/**
 * Defines a test, or one that does not apply.
 *
 * @publicApi
 */
export interface ContractIt {
  (name: string, body: () => Promise<void>, timeoutMs?: number): unknown;
  skip(name: string, body: () => Promise<void>): unknown;
}

/**
 * What is used of Jest's `expect`, which others have too.
 *
 * @publicApi
 */
export interface ContractExpect {
  (actual: unknown): ContractMatchers<void> & {
    readonly not: ContractMatchers<void>;
    readonly resolves: ContractMatchers<Promise<void>>;
    readonly rejects: ContractMatchers<Promise<void>>;
  };
  any(constructor: unknown): unknown;
  stringMatching(pattern: string | RegExp): unknown;
  objectContaining(properties: object): unknown;
}

/**
 * What is used of Jest's matchers.
 *
 * @publicApi
 */
export interface ContractMatchers<R> {
  toBe(expected: unknown): R;
  toBeUndefined(): R;
  toBeInstanceOf(expected: unknown): R;
  toBeGreaterThan(expected: number): R;
  toBeGreaterThanOrEqual(expected: number): R;
  toContain(expected: unknown): R;
  toEqual(expected: unknown): R;
  toHaveLength(expected: number): R;
  toMatchObject(expected: object): R;
  toThrow(expected?: unknown): R;
}

/** A test that ends by itself. `moreMs`: it may take so much longer than others. @internal */
export type TimedIt = (name: string, body: () => Promise<void>, moreMs?: number) => void;

/** A runner may have no limit, as `node:test`, or one of five seconds, as Jest and Vitest: it is given this much more. */
const MARGIN_MS = 5000;

/** Tests that fail, in words, when they take longer than `timeoutMs`. @internal */
export function timedIt({ it }: ContractRunner, timeoutMs: number): TimedIt {
  return (name, body, moreMs = 0) => {
    const limitMs = timeoutMs + moreMs;
    it(name, async () => within(limitMs, body()), limitMs + MARGIN_MS);
  };
}

function within(limitMs: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    // Not by a clock: it keeps the process alive, which waits for something that may never come.
    const timer = setTimeout(() => {
      reject(new Error(`It has not come to an end within ${limitMs} ms: what it waits for does not happen.`));
    }, limitMs);
    void work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
