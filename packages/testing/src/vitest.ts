/**
 * To import this is to have the matchers of this package in vitest's `expect`.
 *
 * @module @nestmq/testing/vitest
 */

import { expect } from 'vitest';
import { type QueueMatchers, queueMatchers } from './matchers.js';

expect.extend(queueMatchers);

declare module 'vitest' {
  // The type parameters must be those of what is extended.
  // oxlint-disable-next-line typescript/no-explicit-any -- any is its default there
  interface Matchers<T = any> extends QueueMatchers {}
}
