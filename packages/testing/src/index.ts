/**
 * The engine for tests: {@link QueueTestHarness} for Nest applications, {@link TestBroker} for any AMQP client.
 *
 * @module @nestmq/testing
 */

export type { WaitOptions } from './idle.js';
export {
  type MatcherContext,
  type MatcherResult,
  type QueueMatchers,
  queueMatchers,
  type WatchedHarness,
} from './matchers.js';
export { type HarnessOptions, QueueTestHarness } from './queue-test.harness.js';
export type { ReceivedMessage } from './received.js';
export type { HandledMessage, PublishedMessage, SeenMessage } from './seen.js';
export { type Predicate, Sightings } from './sightings.js';
export { TestBroker } from './test-broker.js';
export type { TestBrokerOptions } from './test-broker.options.js';
export type { Topology, TopologyEntry } from './topology.js';
export type { ModuleUnderTest, RunningApplication, TestingBuilder } from './testing-builder.js';
