import type { FieldTable } from '@nestmq/broker';
import { EVENTS_EXCHANGE, REQUESTS_EXCHANGE } from '../envelope.js';
import type { Link, QueueDeclaration } from '../links/link.js';
import { TopologyDriftException } from '../queue.exceptions.js';
import type { HandlerTable, QueueHandlers } from './handler-table.js';

export interface HandlerQueuesInit {
  readonly handlers: HandlerTable;
  /** `x-` arguments of the queues that handlers get their messages from. */
  readonly queueArguments: FieldTable;
  readonly report: (error: Error) => void;
}

/** What handlers need of a broker: exchanges, their queues, bindings by their patterns, places for their dead letters. */
export class HandlerQueues {
  readonly #init: HandlerQueuesInit;
  /** How many handlers there were when their queues were declared. */
  #declaredHandlers = 0;

  constructor(init: HandlerQueuesInit) {
    this.#init = init;
  }

  async declareExchanges(link: Link): Promise<void> {
    await link.declareExchange(EVENTS_EXCHANGE);
    await link.declareExchange(REQUESTS_EXCHANGE);
  }

  /** Nothing is done when no handler was added since the last time: `deferInitialization` adds them late. */
  async declare(link: Link): Promise<void> {
    const { handlers } = this.#init;
    if (handlers.size === this.#declaredHandlers) return;
    this.#declaredHandlers = handlers.size;
    for (const name of handlers.deadLetterQueues) await this.declareQueue(link, name, {});
    for (const one of handlers.queues) await this.#declare(link, one);
  }

  async #declare(
    link: Link,
    { queue, declaration, eventPatterns, requestPatterns }: QueueHandlers,
  ): Promise<void> {
    await this.declareQueue(link, queue, { ...declaration, arguments: this.#init.queueArguments });
    for (const pattern of eventPatterns) await link.bindQueue(queue, EVENTS_EXCHANGE, pattern);
    for (const pattern of requestPatterns) await link.bindQueue(queue, REQUESTS_EXCHANGE, pattern);
  }

  /** A queue that is there with other arguments is reported, and used as it is. */
  async declareQueue(link: Link, name: string, declaration: QueueDeclaration): Promise<void> {
    try {
      await link.declareQueue(name, declaration);
    } catch (error) {
      if (!(error instanceof TopologyDriftException)) throw error;
      this.#init.report(error);
    }
  }
}
