/**
 * To import this is to have the matchers of this package in Jest's `expect`.
 *
 * @module @nestmq/testing/jest
 */

import { expect } from '@jest/globals';
import { type QueueMatchers, queueMatchers } from './matchers.js';

expect.extend(queueMatchers);

declare module 'expect' {
  // The type parameters must be those of what is extended.
  interface Matchers<R extends void | Promise<void>, T = unknown> extends QueueMatchers {}
}

// Those who use Jest's globals have the types of @types/jest instead.
declare global {
  namespace jest {
    // The type parameters must be those of what is extended, used or not.
    interface Matchers<R, T = {}> extends QueueMatchers {}
  }
}
