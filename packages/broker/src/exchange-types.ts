import type { Clock } from './clock.js';
import type { ExchangeType } from './definitions/definitions.js';
import { channelError, connectionError } from './errors.js';
import { type Field, valueOf } from './message/fields.js';
import { checkWeight, ConsistentHashRouter, hashOnOf } from './routing/consistent-hash-router.js';
import { DeduplicatingRouter, rememberedIdsOf } from './routing/deduplicating-router.js';
import { DirectRouter } from './routing/direct-router.js';
import { FanoutRouter } from './routing/fanout-router.js';
import { checkHeadersBinding, HeadersRouter } from './routing/headers-router.js';
import { RandomRouter } from './routing/random-router.js';
import type { Router } from './routing/router.js';
import type { Admission } from './routing/seen-ids.js';
import { TopicRouter } from './routing/topic-router.js';

/** What a router may need. */
export interface RouterEnvironment<T> {
  readonly clock: Clock;
  /** Numbers from 0 to 1, without 1. */
  readonly random: () => number;
  /** Of a destination, always the same, also after a restart; and of no other. */
  readonly nameOf: (destination: T) => string;
  readonly onAdmission: (admission: Admission) => void;
}

export interface ExchangeKind {
  /** Each of a message's keys, CC and BCC too, is routed by; else only its first, once. */
  readonly isByKey: boolean;
  /** Two bindings that differ in their arguments alone are two to the router as well. */
  readonly isByArguments: boolean;
  /** `at` names the exchange. Throws PRECONDITION_FAILED for arguments that the type does not take. */
  newRouter<T>(args: readonly Field[], environment: RouterEnvironment<T>, at: string): Router<T>;
  /** Throws PRECONDITION_FAILED. */
  checkBinding(key: string, args: readonly Field[]): void;
}

const anyBinding = (): void => {};
const BY_KEY = { isByKey: true, isByArguments: false, checkBinding: anyBinding };
const ONCE = { isByKey: false, isByArguments: false, checkBinding: anyBinding };

/** An exchange that delays routes as its `x-delayed-type` says, when it is time. */
export const DELAYED_MESSAGE = 'x-delayed-message';
const DELAYED_TYPE = 'x-delayed-type';

const EXCHANGE_KINDS: Record<Exclude<ExchangeType, typeof DELAYED_MESSAGE>, ExchangeKind> = {
  direct: { ...BY_KEY, newRouter: () => new DirectRouter() },
  fanout: { ...ONCE, newRouter: () => new FanoutRouter() },
  topic: { ...BY_KEY, newRouter: () => new TopicRouter() },
  headers: {
    ...ONCE,
    isByArguments: true,
    newRouter: () => new HeadersRouter(),
    checkBinding: (_key, args) => checkHeadersBinding(args),
  },
  'x-consistent-hash': {
    ...ONCE,
    newRouter: (args, { nameOf }, at) => new ConsistentHashRouter(hashOnOf(args, at), nameOf),
    checkBinding: (key) => checkWeight(key),
  },
  'x-random': { ...ONCE, newRouter: (_args, { random }) => new RandomRouter(random) },
  'x-message-deduplication': {
    ...ONCE,
    newRouter: (args, { clock, onAdmission }) =>
      new DeduplicatingRouter(rememberedIdsOf(args), clock, onAdmission),
  },
};

export function isExchangeType(type: string): type is ExchangeType {
  return type === DELAYED_MESSAGE || Object.hasOwn(EXCHANGE_KINDS, type);
}

/** Throws COMMAND_INVALID. */
export function assertExchangeType(type: string): asserts type is ExchangeType {
  if (isExchangeType(type)) return;
  throw connectionError('COMMAND_INVALID', `invalid exchange type '${type}'`);
}

/** Throws PRECONDITION_FAILED, in the plugin's words, for a delayed type that is none. */
export function kindOf(type: ExchangeType, args: readonly Field[]): ExchangeKind {
  if (type !== DELAYED_MESSAGE) return EXCHANGE_KINDS[type];
  const field = args.find(({ name }) => name === DELAYED_TYPE);
  const delayed = field === undefined ? undefined : valueOf(field);
  if (delayed === DELAYED_MESSAGE) throw invalid("can't be used to declare a nested delayed exchange");
  if (typeof delayed !== 'string' || !Object.hasOwn(EXCHANGE_KINDS, delayed))
    throw invalid('must be an existing exchange type');
  return EXCHANGE_KINDS[delayed as keyof typeof EXCHANGE_KINDS];
}

function invalid(why: string): Error {
  return channelError('PRECONDITION_FAILED', `Invalid argument, '${DELAYED_TYPE}' ${why}`);
}
