export type {
  BatchOptions,
  DeduplicationOptions,
  HandlerOptions,
  OrderingKey,
  RateLimitOptions,
  RetryOptions,
  ScheduleOptions,
} from './handler.options.js';
export type { ErrorClass } from './handling/retry-policy.js';
export type { Duration } from './option-checks.js';
export {
  deadLetterQueueOf,
  EVENTS_EXCHANGE,
  HEADER as QUEUE_HEADERS,
  REPLY as QUEUE_REPLIES,
  REQUESTS_EXCHANGE,
} from './envelope.js';
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
export { type DeclaredQueue, type Declarations, lintDeclarations } from './links/link-lint.js';
export { QueueClient } from './queue.client.js';
export { QueueContext } from './queue.context.js';
export {
  NoHandlerException,
  QueueClosedException,
  QueueOptionsException,
  QueueUnavailableException,
  type TopologyDrift,
  TopologyDriftException,
} from './queue.exceptions.js';
export { QueueModule, type QueueModuleAsyncOptions } from './queue.module.js';
export type { QueueOptions } from './queue.options.js';
export { HandlerTimeoutException, RetryLaterException, UnrecoverableException } from './retry.exceptions.js';
export { type QueueEvents, QueueServer, type QueueStatus } from './queue.server.js';
