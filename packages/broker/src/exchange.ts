import type { PolicyDefinition, PolicyTarget } from './definitions/access-definitions.js';
import type { ExchangeType } from './definitions/definitions.js';
import type { Queue } from './queue/queue.js';
import { DirectRouter } from './routing/direct-router.js';
import { FanoutRouter } from './routing/fanout-router.js';
import type { Router } from './routing/router.js';
import { TopicRouter } from './routing/topic-router.js';

const ROUTERS: Record<ExchangeType, new () => Router<Queue>> = {
  direct: DirectRouter,
  fanout: FanoutRouter,
  topic: TopicRouter,
};

export function isExchangeType(type: string): type is ExchangeType {
  return Object.hasOwn(ROUTERS, type);
}

export class Exchange implements PolicyTarget {
  readonly router: Router<Queue>;
  /** Binding keys by queue. */
  readonly bindings: Map<Queue, Set<string>> = new Map();
  /** The settings of policies that are in effect for it, if there are any. */
  policy: PolicyDefinition | undefined;

  constructor(
    readonly name: string,
    readonly type: ExchangeType,
    readonly durable: boolean,
    readonly autoDelete: boolean,
  ) {
    this.router = new ROUTERS[type]();
  }

  applyPolicy(definition: PolicyDefinition | undefined): void {
    this.policy = definition;
  }

  has(queue: Queue, key: string): boolean {
    return this.bindings.get(queue)?.has(key) ?? false;
  }

  bind(queue: Queue, key: string): void {
    this.router.bind(key, queue);
    const keys = this.bindings.get(queue);
    if (keys === undefined) this.bindings.set(queue, new Set([key]));
    else keys.add(key);
  }

  unbind(queue: Queue, key: string): void {
    this.router.unbind(key, queue);
    const keys = this.bindings.get(queue);
    keys?.delete(key);
    if (keys?.size === 0) this.bindings.delete(queue);
  }

  /** Removes all bindings of a queue and returns their keys. */
  unbindAll(queue: Queue): string[] {
    const keys = [...(this.bindings.get(queue) ?? [])];
    for (const key of keys) this.unbind(queue, key);
    return keys;
  }
}
