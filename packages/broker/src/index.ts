/**
 * The engine without Nest: {@link openBroker} in this process, {@link createServer} for AMQP clients too, and the tools
 * for a directory on the disk.
 *
 * @module @nestmq/broker
 */

export { Broker, type ConnectOptions, openBroker } from './broker.js';
export { hashPassword, type HashingAlgorithm, type PasswordHash } from './auth/password.js';
export { type Clock, ManualClock, systemClock, type Timer } from './clock.js';
export type { ConsumeOptions } from './consume-options.js';
export { Connection } from './connection.js';
export type { QueueState } from './queue/queue-state.js';
export type {
  Policy,
  PolicyDefinition,
  PolicyScope,
  PolicyTarget,
  UserDefinition,
  VhostDefinition,
} from './definitions/access-definitions.js';
export type { ExchangeType } from './definitions/definitions.js';
export { type EffectivePolicy, Policies, type PolicySubject } from './definitions/policies.js';
export { Registry } from './definitions/registry.js';
export {
  BrokerError,
  type BrokerErrorCode,
  type BrokerErrorInit,
  REPLY_CODES,
  type ReplyCode,
  type Severity,
} from './errors.js';
export type { BindingInit, ExchangeOptions } from './exchanges.js';
export { exportDefinitions } from './management/definitions-export.js';
export { type MemoryGauge, systemMemory } from './memory-watch.js';
export { LIMITS } from './limits.js';
export {
  DELIVERY_MODE_PERSISTENT,
  type FieldTable,
  type FieldValue,
  isPersistent,
  type Message,
  type MessageProperties,
} from './message/message.js';
export type { BrokerOptions } from './options.js';
export { Consumer } from './queue/consumer.js';
export { Delivery } from './queue/delivery.js';
export type { ReadyEntry } from './queue/ready-index.js';
export { REPLY_TO, ReplyConsumer, type ReplyConsumerInit } from './reply-consumers.js';
export { TopicRouter } from './routing/topic-router.js';
export type { File, FileSystem } from './store/file-system.js';
export type { JournalOptions } from './store/journal-options.js';
export { JournalStore } from './store/journal-store.js';
export { MemoryStore } from './store/memory-store.js';
export type {
  Appended,
  DurableCallback,
  MessageStore,
  Recovered,
  Held,
  Marks,
  Publication,
  QueueMark,
  Residence,
  Residents,
  StoredEntries,
  StoreFactory,
  StoreInit,
} from './store/message-store.js';
export type { Position } from './store/record.js';
export { nodeFileSystem } from './store/node-file-system.js';
export { type FaultInjector, SimulatedFileSystem, systemError } from './store/simulated-file-system.js';
export { createServer, Server } from './server.js';
export {
  assertServerOptions,
  type CertLoginFrom,
  type ServerOptions,
  type TlsOptions,
} from './server-options.js';
export { type BackupReport, backUpJournal } from './tools/backup.js';
export { type CheckedSegment, checkJournal, type CheckReport } from './tools/check.js';
export {
  type InspectedQueue,
  type InspectedSegment,
  inspectJournal,
  type InspectReport,
} from './tools/inspect.js';
export type { LostMessages, Problem } from './tools/problems.js';
export { readDefinitions } from './tools/read-definitions.js';
export type { Progress, ToolOptions } from './tools/progress.js';
export { type LostFromQueue, repairJournal, type RepairOptions, type RepairReport } from './tools/repair.js';
export type { PublishOutcome } from './message-way.js';
export type { DeleteOptions, QueueOptions } from './vhost.js';
