import type { Clock } from './clock.js';
import type { ExchangeType } from './definitions/definitions.js';
import type { Field } from './message/fields.js';
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

export const EXCHANGE_KINDS: Record<ExchangeType, ExchangeKind> = {
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
  return Object.hasOwn(EXCHANGE_KINDS, type);
}
