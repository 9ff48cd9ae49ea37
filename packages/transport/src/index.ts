/**
 * The Nest transport: {@link QueueModule}, {@link QueueServer}, {@link QueueClient}, the decorators of handlers, and
 * {@link QueueAdmin}.
 *
 * @module @nestmq/transport
 */

// The module, the server and the client.
export { QUEUE_OPTIONS, QUEUE_TRANSPORT } from './queue.constants.js';
export { QueueModule, type QueueModuleAsyncOptions } from './queue.module.js';
export type { QueueOptions } from './queue.options.js';
export { type QueueEvents, QueueServer, type QueueStatus } from './queue.server.js';
export type { QueueClientEvents, QueueClientStatus } from './client-events.js';
export { QueueClient } from './queue.client.js';
export { type Duration, millisecondsOf } from './option-checks.js';

// Handlers: their options, what they get, and what they throw.
export {
  Batch,
  Concurrency,
  DeadLetter,
  Deduplicate,
  HandlerTimeout,
  OrderingKey,
  RateLimit,
  Retry,
  Schedule,
} from './decorators.js';
export type {
  BatchOptions,
  DeduplicationOptions,
  HandlerOptions,
  OrderingKeyFunction,
  RateLimitOptions,
  ScheduleOptions,
} from './handler.options.js';
export type { RetryOptions } from './retry.options.js';
export type { ErrorClass } from './retry-policy.js';
export { QueueContext } from './queue.context.js';
export { QueueBatchContext } from './queue-batch.context.js';
export { BatchFailedException, type BatchFailures } from './batch.exceptions.js';
export { HandlerTimeoutException, RetryLaterException, UnrecoverableException } from './retry.exceptions.js';

// What is sent, and how it fails.
export { QueueRecord, QueueRecordBuilder, type QueueRecordOptions } from './queue.record.js';
export {
  NoHandlerException,
  QueueClosedException,
  QueueNotFoundException,
  QueueOptionsException,
  QueueTimeoutException,
  QueueUnavailableException,
  RemoteException,
  type TopologyDrift,
  TopologyDriftException,
  UnreadableBodyException,
} from './queue.exceptions.js';

// Data on the wire.
export type { QueueCodec } from './wire/codec.js';
export type { CompressionEncoding } from './wire/compression.js';
export type { QueueCompression, QueueEncryption, WireFormat, WireOptions } from './wire/wire-options.js';
export {
  type DeadLetterReason,
  deadLetterQueueOf,
  EVENTS_EXCHANGE,
  HEADER as QUEUE_HEADERS,
  REPLY as QUEUE_REPLIES,
  REQUESTS_EXCHANGE,
} from './envelope.js';

// Operating.
export { type PeekOptions, QueueAdmin, type QueueDepth, type ServiceQueue } from './admin/queue.admin.js';
export {
  type DeadLetterResult,
  DeadLetters,
  type DeadLetterSelection,
  type RedriveOptions,
} from './admin/dead-letters.js';
export type { DeadLetterMessage, QueuedMessage } from './admin/queued-message.js';
export {
  type QueueHealth,
  QueueHealthIndicator,
  type QueueHealthOptions,
  type QueueHealthResult,
} from './admin/queue.health.js';
export type { HandlerLabels, HandlingResult, MessageKind, QueueMetrics } from './observability/metrics.js';
export { promMetrics, type PromMetricsOptions, type PromRegistry } from './observability/prom-metrics.js';
export type { TelemetryOptions } from './observability/telemetry.options.js';

// Brokers, and the links to them.
export type { AmqpOptions, ReconnectOptions } from './links/amqp-options.js';
export {
  type BrokerLease,
  type EmbeddedBrokerOptions,
  leaseBroker,
  type ListenOptions,
} from './links/embedded-brokers.js';
export type {
  ConsumeOptions,
  ForwardedMessage,
  Link,
  LinkDelivery,
  LinkListener,
  LinkQueueState,
  PublishCallback,
  PublishOptions,
  QueueDeclaration,
  ReplyOptions,
  ReplySubscription,
  Subscription,
} from './links/link.js';
export type { LinkFactory, LinkInit } from './links/own-link.js';
export { openQueueLink } from './queue.link.js';
export { type DeclaredQueue, type Declarations, lintDeclarations } from './links/link-lint.js';

// For tests.
export {
  QUEUE_WITNESS,
  type QueueWitness,
  type WitnessedArrival,
  type WitnessedAttempt,
  type WitnessedMessage,
  type WitnessedPublish,
  type WitnessedResult,
} from './observability/witness.js';
