import type { Clock } from '@nestmq/broker';
import { describeError } from '../describe-error.js';
import type { ConsumerState } from '../handling/consumer-control.js';
import type { QueueHandlers } from '../handling/handler-table.js';
import { assertKeys, duration, type Duration, integer } from '../option-checks.js';
import type { Service } from './service.js';

/**
 * When the service counts as down.
 *
 * @publicApi
 */
export interface QueueHealthOptions {
  /** What takes longer is down. Milliseconds or `'2s'`, up to a minute. @default '1s' */
  readonly timeout?: Duration;
  /** More dead letters in a queue than that are down. Whole number. @default any number is well */
  readonly deadLettersMax?: number;
}

/**
 * What Terminus calls HealthIndicatorResult: of all its versions.
 *
 * @publicApi
 */
export type QueueHealthResult<K extends string = string> = Record<
  K,
  {
    readonly status: 'up' | 'down';
    /** What is wrong, if it is down. */
    readonly message?: string;
    readonly queues: readonly QueueHealth[];
  }
>;

/**
 * How a queue of the service is.
 *
 * @publicApi
 */
export interface QueueHealth {
  readonly name: string;
  readonly consumer: ConsumerState;
  readonly ready: number;
  readonly deadLetters: number;
}

interface Finding {
  readonly problems: readonly string[];
  readonly queues: readonly QueueHealth[];
}

/**
 * Whether messages are taken and handled now. For `@nestjs/terminus`:
 * `health.check([() => queueHealth.isHealthy('queue')])`; it does not need that package.
 *
 * Down: the service has handlers and does not listen, its broker is away, takes no publishes or can't write to its disk, a queue is gone or
 * its consumer does not run, or there are more dead letters than allowed. A handler that was paused by hand is well. It
 * declares and publishes nothing.
 *
 * @publicApi
 */
export class QueueHealthIndicator {
  readonly #service: Service;

  /** @internal */
  constructor(service: Service) {
    this.#service = service;
  }

  /** Always resolves, within the timeout. Rejects with QueueOptionsException for options that can't be meant. */
  async isHealthy<K extends string = 'queue'>(
    key: K = 'queue' as K,
    options: QueueHealthOptions = {},
  ): Promise<QueueHealthResult<K>> {
    assertKeys('isHealthy', options, ['timeout', 'deadLettersMax']);
    const timeoutMs = duration('timeout', options.timeout, 1000, 1, 60_000);
    const deadLettersMax = integer('deadLettersMax', options.deadLettersMax, Infinity, 0, 2 ** 53 - 1);
    const late: Finding = { problems: [`The broker did not answer in ${timeoutMs} ms.`], queues: [] };
    const { problems, queues } = await within(
      this.#service.clock,
      timeoutMs,
      this.#look(deadLettersMax),
      late,
    );
    const result =
      problems.length === 0
        ? ({ status: 'up', queues } as const)
        : ({ status: 'down', message: problems.join(' '), queues } as const);
    return { [key]: result } as QueueHealthResult<K>;
  }

  /** Never rejects. */
  async #look(deadLettersMax: number): Promise<Finding> {
    const problems: string[] = [];
    const queues: QueueHealth[] = [];
    try {
      const { link, away, isListening, handlers } = this.#service;
      if (!isListening())
        problems.push('The service does not listen: it has not started, or is shutting down.');
      const gone = away();
      const { blocked } = link();
      if (gone !== undefined) {
        // What keeps it away now goes before how it went.
        problems.push(`The broker is away: ${blocked ?? describeError(gone)}`);
        return { problems, queues };
      }
      if (blocked !== undefined) problems.push(`Publishers are blocked: ${blocked}`);
      for (const one of handlers.queues) queues.push(await this.#lookAt(one, deadLettersMax, problems));
      await link().flush();
    } catch (error) {
      problems.push(describeError(error));
    }
    return { problems, queues };
  }

  async #lookAt(handlers: QueueHandlers, deadLettersMax: number, problems: string[]): Promise<QueueHealth> {
    const { queue: name } = handlers;
    const { link, consumers, isListening } = this.#service;
    const state = await link().queueState(name);
    const consumer = consumers.stateOf(name);
    if (state === undefined) problems.push(`The queue '${name}' is not there.`);
    else if (consumer === 'deleted') problems.push(`The queue '${name}' was deleted under its consumer.`);
    else if (consumer === 'stopped' && isListening()) problems.push(`The queue '${name}' is not consumed.`);
    let deadLetters = 0;
    for (const dead of handlers.deadLetterQueues) deadLetters += (await link().queueState(dead))?.ready ?? 0;
    if (deadLetters > deadLettersMax)
      problems.push(`There are ${deadLetters} dead letters of '${name}', more than ${deadLettersMax}.`);
    return { name, consumer, ready: state?.ready ?? 0, deadLetters };
  }
}

/** The outcome, or `late` when it takes longer. */
function within<T>(clock: Clock, timeoutMs: number, outcome: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(timeoutMs, () => resolve(late));
    void outcome.then(resolve, reject).finally(() => timer.cancel());
  });
}
