import { channelError, connectionError } from '../errors.js';
import { LIMITS } from '../limits.js';
import { type Arguments, argumentsOf } from '../message/arguments.js';
import { assertEquivalentArgument } from '../message/equivalent-argument.js';
import { type Field, isInteger, typeOf, valueOf } from '../message/fields.js';
import type { FieldTable, FieldValue } from '../message/message.js';
import {
  DEAD_LETTER_STRATEGIES,
  type DeadLetterStrategy,
  DELAYED_RETRY_TYPES,
  type DelayedRetryType,
  type Overflow,
  OVERFLOWS,
  PLAIN_QUEUE,
  QUEUE_TYPES,
  type QueueSettings,
  type QueueType,
} from './queue-settings.js';

/** What else is declared of a queue, as far as its arguments depend on it. */
export interface QueueFacts {
  readonly name: string;
  readonly vhost: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
}

/** The arguments that a queue was declared with, types and all, and what they say. */
export interface QueueArguments {
  readonly table: Arguments;
  readonly settings: QueueSettings;
}

/** What is wrong with an argument, as RabbitMQ puts it behind the colon; undefined: nothing. */
type Check = (field: Field, all: readonly Field[]) => string | undefined;
type Refuse = (field: Field, why: string) => Error;

/** Those that mean something, in the order in which RabbitMQ looks at them. */
const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['x-expires', (field) => wholeFrom(1, field, LIMITS.expirationMsMax)],
  ['x-message-ttl', (field) => wholeFrom(0, field, LIMITS.expirationMsMax)],
  ['x-dead-letter-exchange', longString],
  ['x-dead-letter-routing-key', routingKeyOfExchange],
  ['x-dead-letter-strategy', oneOf(DEAD_LETTER_STRATEGIES, () => 'invalid_dlx_strategy')],
  ['x-max-length', (field) => wholeFrom(0, field)],
  ['x-max-length-bytes', (field) => wholeFrom(0, field)],
  ['x-max-in-memory-length', (field) => wholeFrom(0, field)],
  ['x-max-in-memory-bytes', (field) => wholeFrom(0, field)],
  ['x-max-priority', maxPriority],
  ['x-overflow', oneOf(OVERFLOWS, () => 'invalid_overflow')],
  ['x-queue-mode', oneOf(['default', 'lazy'], (mode) => `"unsupported queue mode '${mode}'"`)],
  ['x-queue-version', queueVersion],
  ['x-single-active-consumer', flag],
  ['x-queue-type', oneOf([...QUEUE_TYPES, 'stream'], (type) => `"unsupported queue type '${type}'"`)],
  ['x-quorum-initial-group-size', (field) => wholeFrom(1, field)],
  ['x-delivery-limit', whole],
  [
    'x-delayed-retry-type',
    oneOf(DELAYED_RETRY_TYPES, (type) => `"unsupported delayed retry type '${type}'"`),
  ],
  ['x-delayed-retry-min', (field) => wholeFrom(0, field, LIMITS.expirationMsMax)],
  ['x-delayed-retry-max', (field) => wholeFrom(0, field, LIMITS.expirationMsMax)],
  ['x-queue-leader-locator', longString],
]);
/** What newer RabbitMQs know and this does not: ignored it would promise what nobody keeps. */
const MISSING: ReadonlySet<string> = new Set(['x-consumer-timeout']);
/** What queues of the other type have; RabbitMQ refuses them for this one. */
const FOREIGN: Record<QueueType, ReadonlySet<string>> = {
  classic: new Set([
    'x-delivery-limit',
    'x-dead-letter-strategy',
    'x-quorum-initial-group-size',
    'x-max-in-memory-length',
    'x-max-in-memory-bytes',
    'x-delayed-retry-type',
    'x-delayed-retry-min',
    'x-delayed-retry-max',
    'x-max-age',
    'x-stream-max-segment-size-bytes',
    'x-initial-cluster-size',
  ]),
  quorum: new Set([
    'x-max-priority',
    'x-queue-mode',
    'x-queue-version',
    'x-max-age',
    'x-stream-max-segment-size-bytes',
    'x-initial-cluster-size',
  ]),
};

/**
 * Reads what a queue is declared with: a table of this process, or one as it was on the wire. Other arguments than
 * those of RabbitMQ mean nothing and are kept. Throws PRECONDITION_FAILED in RabbitMQ's words.
 */
export function parseQueueArguments(
  args: FieldTable | Buffer | undefined,
  facts: QueueFacts,
): QueueArguments {
  const table = argumentsOf(args);
  const { fields } = table;
  if (fields.length === 0) return { table, settings: PLAIN_QUEUE };
  const at = `queue '${facts.name}' in vhost '${facts.vhost}'`;
  for (const [name, check] of CHECKS) {
    const field = fields.find((one) => one.name === name);
    const why = field && check(field, fields);
    if (field !== undefined && why !== undefined) throw refusalOf(at)(field, why);
  }
  assertImplemented(fields, at);
  const type = (value(fields, 'x-queue-type') ?? 'classic') as QueueType;
  assertOfType(type, fields, facts, at);
  assertDelayedRetry(fields, refusalOf(at));
  return { table, settings: settingsOf(type, fields) };
}

function assertImplemented(fields: readonly Field[], at: string): void {
  const missing = fields.find(({ name }) => MISSING.has(name));
  if (missing !== undefined)
    throw connectionError('NOT_IMPLEMENTED', `argument '${missing.name}' of ${at} is not implemented`);
  if (value(fields, 'x-queue-type') === 'stream')
    throw connectionError('NOT_IMPLEMENTED', `x-queue-type 'stream' of ${at} is not implemented`);
}

function refusalOf(at: string): Refuse {
  return ({ name, bytes }, why) =>
    name === 'x-dead-letter-exchange'
      ? channelError('PRECONDITION_FAILED', `invalid type '${typeOf({ bytes })}' for arg '${name}' in ${at}`)
      : channelError('PRECONDITION_FAILED', `invalid arg '${name}' for ${at}: ${why}`);
}

function assertOfType(type: QueueType, fields: readonly Field[], facts: QueueFacts, at: string): void {
  if (type === 'quorum') {
    for (const [is, property] of [
      [!facts.durable && !facts.exclusive, 'non-durable'],
      [facts.autoDelete, 'auto-delete'],
      [facts.exclusive, 'exclusive-owner'],
    ] as const) {
      if (is) throw channelError('PRECONDITION_FAILED', `invalid property '${property}' for ${at}`);
    }
  }
  const foreign = fields.find(({ name }) => FOREIGN[type].has(name));
  if (foreign === undefined) return;
  const text = `invalid arg '${foreign.name}' for ${at} of queue type rabbit_${type}_queue`;
  throw channelError('PRECONDITION_FAILED', text);
}

function assertDelayedRetry(fields: readonly Field[], refuse: Refuse): void {
  const type = fields.find(({ name }) => name === 'x-delayed-retry-type');
  if (type === undefined || valueOf(type) === 'disabled') return;
  if (value(fields, 'x-delayed-retry-min') === undefined)
    throw refuse(type, 'delayed_retry_type_but_no_min_defined');
}

function settingsOf(type: QueueType, fields: readonly Field[]): QueueSettings {
  const number = (name: string): number | undefined => {
    const found = value(fields, name);
    return found === undefined ? undefined : Number(found);
  };
  const limit = number('x-delivery-limit');
  return {
    type,
    expiresMs: number('x-expires'),
    messageTtlMs: number('x-message-ttl'),
    lengthMax: number('x-max-length'),
    lengthBytesMax: number('x-max-length-bytes'),
    overflow: (value(fields, 'x-overflow') as Overflow | undefined) ?? PLAIN_QUEUE.overflow,
    deadLetterExchange: value(fields, 'x-dead-letter-exchange') as string | undefined,
    deadLetterRoutingKey: value(fields, 'x-dead-letter-routing-key') as string | undefined,
    deadLetterStrategy: value(fields, 'x-dead-letter-strategy') as DeadLetterStrategy | undefined,
    priorityMax: number('x-max-priority'),
    singleActiveConsumer: value(fields, 'x-single-active-consumer') === true,
    // As in RabbitMQ, where -1 is without limit.
    deliveryLimit: limit === undefined || limit < 0 ? undefined : limit,
    delayedRetryType:
      (value(fields, 'x-delayed-retry-type') as DelayedRetryType | undefined) ?? PLAIN_QUEUE.delayedRetryType,
    delayedRetryMinMs: number('x-delayed-retry-min'),
    delayedRetryMaxMs: number('x-delayed-retry-max'),
  };
}

function value(fields: readonly Field[], name: string): FieldValue | undefined {
  const field = fields.find((one) => one.name === name);
  return field && valueOf(field);
}

// ---------------------------------------------------------------- checks

function whole(field: Field): string | undefined {
  return isInteger(field) ? undefined : `"expected integer, got ${typeOf(field)}"`;
}

function wholeFrom(least: 0 | 1, field: Field, most = Infinity): string | undefined {
  if (!isInteger(field)) return whole(field);
  const number = valueOf(field) as number | bigint;
  if (number < 0) return `{value_negative,${number}}`;
  if (number < least) return `{value_zero,${number}}`;
  return number > most ? `{value_too_large,${number}}` : undefined;
}

function maxPriority(field: Field): string | undefined {
  const number = valueOf(field) as number | bigint;
  return wholeFrom(0, field) ?? (number > 255 ? `{max_value_exceeded,${number}}` : undefined);
}

function longString(field: Field): string | undefined {
  return typeOf(field) === 'longstr' ? undefined : `{unacceptable_type,${typeOf(field)}}`;
}

function flag(field: Field): string | undefined {
  return typeOf(field) === 'bool' ? undefined : `{unacceptable_type,${typeOf(field)}}`;
}

function routingKeyOfExchange(field: Field, all: readonly Field[]): string | undefined {
  if (longString(field) !== undefined) return longString(field);
  const hasExchange = all.some(({ name }) => name === 'x-dead-letter-exchange');
  return hasExchange ? undefined : 'routing_key_but_no_dlx_defined';
}

function queueVersion(field: Field): string | undefined {
  const version = valueOf(field) as number | bigint;
  if (!isInteger(field)) return whole(field);
  return version === 1 || version === 2 ? undefined : `"unsupported queue version '${version}'"`;
}

function oneOf(words: readonly string[], otherwise: (word: string) => string): Check {
  return (field) => {
    const word = valueOf(field) as string;
    return longString(field) ?? (words.includes(word) ? undefined : otherwise(word));
  };
}

// ---------------------------------------------------------------- redeclaring

/** Throws PRECONDITION_FAILED in RabbitMQ's words when an argument that means something is another one now. */
export function assertEquivalentArguments(
  current: QueueArguments | undefined,
  args: FieldTable | Buffer | undefined,
  at: string,
): void {
  const received = argumentsOf(args);
  if ((current?.table.id ?? '') === received.id) return;
  for (const name of CHECKS.keys()) {
    const [is, was] = [received.fields, current?.table.fields ?? []].map((fields) =>
      fields.find((one) => one.name === name),
    );
    // One that says what goes without saying.
    const isPlain = [is, was].every((one) => one === undefined || valueOf(one) === 'classic');
    if (name !== 'x-queue-type' || !isPlain) assertEquivalentArgument(name, is, was, at);
  }
}
