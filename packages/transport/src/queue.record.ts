import { isDate, isUint8Array } from 'node:util/types';
import { RmqRecord, type RmqRecordOptions } from '@nestjs/microservices';
import type { FieldTable, FieldValue } from '@nestmq/broker';
import {
  assertKeys,
  describe,
  duration,
  type Duration,
  flag,
  integer,
  millisecondsOf,
  requestTimeout,
  table,
} from './option-checks.js';
import { QueueOptionsException } from './queue.exceptions.js';

/**
 * What one message is sent with, beside its data.
 *
 * @publicApi
 */
export interface QueueRecordOptions {
  /** Names of 1 to 128 characters that do not begin with `x-nestmq-`. They go before a dispatch hook's metadata. @default none */
  readonly headers?: FieldTable;
  /** 0 to 255; higher ones go first, in queues that have a `maxPriority`. @default 0 */
  readonly priority?: number;
  /** The message is given up if no handler has got it within this time. A {@link Duration} up to ten years. @default never */
  readonly expiration?: Duration;
  /** An event comes to its handlers this much later. A {@link Duration} up to ten years. @default at once */
  readonly delay?: Duration;
  /** An event comes to its handlers at this time; one that is over is now. A Date, or milliseconds since the epoch. @default now */
  readonly scheduleAt?: Date | number;
  /**
   * Handlers with `deduplication` handle only the first of the messages with the same one. It is the message's id, and is
   * also in the header `x-deduplication-header`, as deduplicating exchanges and queues want it. 1 to 255 bytes.
   */
  readonly deduplicationId?: string;
  /** Handlers with `orderingKey` handle messages of one key one after the other. 1 to 255 bytes. @default none */
  readonly orderingKey?: string;
  /** 1 to 255 bytes. @default a random UUID */
  readonly messageId?: string;
  /** Of a request it must be that of no other that is under way. 1 to 255 bytes. @default a request's is a random UUID */
  readonly correlationId?: string;
  /** How long a request waits for its first answer, and then for each next one; 0 is for ever. @default the client's `requestTimeout` */
  readonly timeout?: Duration;
  /** Whether the message survives a crash of the broker. @default true of an event, false of a request */
  readonly persistent?: boolean;
  /** An event that no service has ever subscribed to fails with NoHandlerException. Requests always do. @default false */
  readonly mandatory?: boolean;
}

/**
 * Data together with how it is to be sent: `client.emit(pattern, record)`, `client.send(pattern, record)`.
 *
 * @publicApi
 */
export class QueueRecord<TData = unknown> {
  /** Throws QueueOptionsException for options that can't be meant. */
  constructor(
    readonly data: TData,
    readonly options: QueueRecordOptions = {},
  ) {
    assertRecordOptions(options);
  }
}

/**
 * Builds a {@link QueueRecord} as Nest's own record builders do. Setters check what they get, and throw
 * QueueOptionsException.
 *
 * @publicApi
 */
export class QueueRecordBuilder<TData = unknown> {
  #data: TData | undefined;
  #options: QueueRecordOptions;

  constructor(data?: TData, options: QueueRecordOptions = {}) {
    this.#data = data;
    this.#options = checked(options);
  }

  /** What is sent. */
  setData(data: TData): this {
    this.#data = data;
    return this;
  }

  /** All at once: those set before are gone. */
  setOptions(options: QueueRecordOptions): this {
    this.#options = checked(options);
    return this;
  }

  /** Sets {@link QueueRecordOptions.headers}: those set before are gone. */
  setHeaders(headers: FieldTable): this {
    return this.#set({ headers });
  }

  /** Beside those that are there. */
  setHeader(name: string, value: FieldValue): this {
    return this.#set({ headers: { ...this.#options.headers, [name]: value } });
  }

  /** Sets {@link QueueRecordOptions.priority}. */
  setPriority(priority: number): this {
    return this.#set({ priority });
  }

  /** Sets {@link QueueRecordOptions.expiration}. */
  setExpiration(expiration: Duration): this {
    return this.#set({ expiration });
  }

  /** Sets {@link QueueRecordOptions.delay}. */
  setDelay(delay: Duration): this {
    return this.#set({ delay });
  }

  /** Sets {@link QueueRecordOptions.scheduleAt}. */
  setScheduleAt(scheduleAt: Date | number): this {
    return this.#set({ scheduleAt });
  }

  /** Sets {@link QueueRecordOptions.deduplicationId}. */
  setDeduplicationId(deduplicationId: string): this {
    return this.#set({ deduplicationId });
  }

  /** Sets {@link QueueRecordOptions.orderingKey}. */
  setOrderingKey(orderingKey: string): this {
    return this.#set({ orderingKey });
  }

  /** Sets {@link QueueRecordOptions.messageId}. */
  setMessageId(messageId: string): this {
    return this.#set({ messageId });
  }

  /** Sets {@link QueueRecordOptions.correlationId}. */
  setCorrelationId(correlationId: string): this {
    return this.#set({ correlationId });
  }

  /** Sets {@link QueueRecordOptions.timeout}. */
  setTimeout(timeout: Duration): this {
    return this.#set({ timeout });
  }

  /** Sets {@link QueueRecordOptions.persistent}. */
  setPersistent(persistent: boolean): this {
    return this.#set({ persistent });
  }

  /** Sets {@link QueueRecordOptions.mandatory}. */
  setMandatory(mandatory: boolean): this {
    return this.#set({ mandatory });
  }

  /** Throws QueueOptionsException for options that contradict each other. */
  build(): QueueRecord<TData> {
    return new QueueRecord(this.#data as TData, this.#options);
  }

  #set(options: QueueRecordOptions): this {
    this.#options = checked({ ...this.#options, ...options });
    return this;
  }
}

function checked(options: QueueRecordOptions): QueueRecordOptions {
  assertRecordOptions(options);
  return { ...options };
}

const KEYS: readonly (keyof QueueRecordOptions)[] = [
  'headers',
  'priority',
  'expiration',
  'delay',
  'scheduleAt',
  'deduplicationId',
  'orderingKey',
  'messageId',
  'correlationId',
  'timeout',
  'persistent',
  'mandatory',
];

const IDS = ['deduplicationId', 'orderingKey', 'messageId', 'correlationId'] as const;
/** Ten years, as the broker allows. Milliseconds. */
const WAIT_MS_MAX = 315_360_000_000;

/** Throws QueueOptionsException for an unknown key, a wrong type, a number out of range, and what contradicts itself. */
function assertRecordOptions(options: QueueRecordOptions): void {
  assertKeys('the record', table('options of a record', options), KEYS);
  if (options.headers !== undefined) assertHeaders(options.headers);
  integer('priority', options.priority, 0, 0, 255);
  duration('expiration', options.expiration, 0, 0, WAIT_MS_MAX);
  duration('delay', options.delay, 0, 0, WAIT_MS_MAX);
  requestTimeout('timeout', options.timeout, 0);
  flag('persistent', options.persistent, true);
  flag('mandatory', options.mandatory, false);
  for (const key of IDS) assertId(key, options[key]);
  assertTime(options.scheduleAt);
  assertConsistent(options);
}

function assertConsistent(options: QueueRecordOptions): void {
  const { delay, scheduleAt, messageId, deduplicationId, expiration, mandatory } = options;
  if (delay !== undefined && scheduleAt !== undefined) {
    throw new QueueOptionsException("The record has both 'delay' and 'scheduleAt'.", 'Give one of them.');
  }
  if (messageId !== undefined && deduplicationId !== undefined && messageId !== deduplicationId) {
    throw new QueueOptionsException(
      "The record has another 'messageId' than its 'deduplicationId'.",
      'Give one of them: the id by which a message is known again is its message id.',
    );
  }
  if (!isDelayed(options)) return;
  if (expiration !== undefined) {
    throw new QueueOptionsException(
      "The record has 'expiration', and is delayed.",
      'Leave one of them out: what waits for its time does not expire.',
    );
  }
  if (mandatory === true) {
    throw new QueueOptionsException(
      "The record is 'mandatory', and is delayed.",
      'Leave one of them out: where a message goes is found when its time has come, and its sender has been told long before.',
    );
  }
}

/** Whether the record says that its message comes later. */
export function isDelayed({ delay, scheduleAt }: QueueRecordOptions): boolean {
  return delay !== undefined || scheduleAt !== undefined;
}

function assertHeaders(headers: unknown): void {
  for (const name of Object.keys(table('headers', headers))) {
    if (name !== '' && name.length <= 128 && !name.startsWith('x-nestmq-')) continue;
    throw new QueueOptionsException(
      `'headers' has the name '${name.slice(0, 200)}'.`,
      "Give names of 1 to 128 characters that do not begin with 'x-nestmq-'.",
    );
  }
  assertValue('headers', headers, 0);
}

/** As the broker takes them. */
const TABLE_DEPTH_MAX = 32;

function assertValue(key: string, value: unknown, depth: number): void {
  if (value === null || ['undefined', 'string', 'number', 'bigint', 'boolean'].includes(typeof value)) return;
  if (isDate(value) || isUint8Array(value)) return;
  if (typeof value !== 'object') {
    throw new QueueOptionsException(
      `'${key}' is ${describe(value)}.`,
      'Give strings, numbers, booleans, null, Dates, bytes, and lists and tables of them.',
    );
  }
  if (depth > TABLE_DEPTH_MAX) {
    throw new QueueOptionsException(
      `'headers' has more than ${TABLE_DEPTH_MAX} tables in each other.`,
      'Give flatter ones.',
    );
  }
  for (const [name, one] of Object.entries(value)) assertValue(`${key}.${name}`, one, depth + 1);
}

function assertId(key: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 255) return;
  throw new QueueOptionsException(`'${key}' is ${describe(value)}.`, 'Give a string of 1 to 255 bytes.');
}

function assertTime(value: unknown): void {
  if (value === undefined || timeOf(value) !== undefined) return;
  throw new QueueOptionsException(
    `'scheduleAt' is ${describe(value)}.`,
    'Give a valid Date, or milliseconds since the epoch.',
  );
}

function timeOf(value: unknown): number | undefined {
  const time: unknown = isDate(value) ? value.getTime() : value;
  return typeof time === 'number' && Number.isFinite(time) ? time : undefined;
}

/** How much later a message comes. Throws QueueOptionsException when that is over ten years. Milliseconds. */
export function delayMsOf({ delay, scheduleAt }: QueueRecordOptions, nowMs: number): number {
  const delayMs =
    scheduleAt === undefined ? (millisecondsOf(delay) ?? 0) : (timeOf(scheduleAt) ?? nowMs) - nowMs;
  if (delayMs <= WAIT_MS_MAX) return Math.max(0, Math.ceil(delayMs));
  throw new QueueOptionsException(`'scheduleAt' is ${String(scheduleAt)}.`, 'Give a time within ten years.');
}

/** The record that a packet's data is; undefined when it is the data itself. Nest's RmqRecord is understood as well. */
export function recordIn(data: unknown): QueueRecord | undefined {
  if (data instanceof QueueRecord) return data;
  return data instanceof RmqRecord ? recordOfRmq(data) : undefined;
}

/** Throws QueueOptionsException for options that this transport does not have. */
function recordOfRmq({ data, options = {} }: RmqRecord): QueueRecord {
  const { deliveryMode, expiration, ...rest }: RmqRecordOptions = options;
  const persistent =
    deliveryMode === undefined ? {} : { persistent: deliveryMode === true || deliveryMode === 2 };
  // Milliseconds, also as a string.
  const ttl = expiration === undefined ? {} : { expiration: Number(expiration) };
  return new QueueRecord(data as unknown, { ...persistent, ...ttl, ...rest });
}
