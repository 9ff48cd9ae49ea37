/** Of `TestBroker.start`. */
export interface TestBrokerOptions {
  /** Accepts AMQP clients on a free port of this machine: see `TestBroker.amqpUrl`. @default false */
  readonly listen?: boolean;
  /** `manual`: time stands still until `TestBroker.advance`. @default 'system' */
  readonly clock?: 'system' | 'manual';
}

/** Fills the defaults in. Throws a TypeError at what can't be meant: not everybody has a compiler that says so. */
export function normaliseTestBrokerOptions(options: TestBrokerOptions): Required<TestBrokerOptions> {
  const { listen = false, clock = 'system', ...unknown } = options;
  const [key] = Object.keys(unknown);
  if (key !== undefined) {
    throw new TypeError(`TestBroker has the unknown option '${key}'. Options here are: listen, clock.`);
  }
  if (typeof listen !== 'boolean') throw new TypeError("'listen' is neither true nor false.");
  // Wider than its type: it may come from JavaScript.
  if (!['system', 'manual'].includes(clock)) throw new TypeError("'clock' is neither 'system' nor 'manual'.");
  return { listen, clock };
}
