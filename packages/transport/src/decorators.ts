import { PATTERN_EXTRAS_METADATA } from '@nestjs/microservices/constants.js';
import { DECORATED, type DecoratedExtras } from './handler-extras.js';
import type {
  BatchOptions,
  DeduplicationOptions,
  HandlerOptions,
  RateLimitOptions,
  ScheduleOptions,
} from './handler.options.js';
import type { Duration } from './option-checks.js';
import { QueueOptionsException } from './queue.exceptions.js';
import type { RetryOptions } from './retry.options.js';

/*
 * A handler's options as decorators: the same words as in its extras, checked at the same time. They may stand above or
 * below @EventPattern / @MessagePattern. The same option in both, or twice, is an error at start. What a decorator says
 * goes before forFeature and the module.
 */

/** What happens when the handler fails. @publicApi */
export const Retry = (options: RetryOptions): MethodDecorator => extra('Retry', 'retry', options);

/** Where messages go that were given up; false: they are logged and gone. @publicApi */
export const DeadLetter = (queue: string | false): MethodDecorator =>
  extra('DeadLetter', 'deadLetter', queue);

/** The handler gets a list of data and a QueueBatchContext. @publicApi */
export const Batch = (options: BatchOptions): MethodDecorator => extra('Batch', 'batch', options);

/** Messages with the same key are handled in their order; without a parameter by the producer's key. @publicApi */
export const OrderingKey = (by: NonNullable<HandlerOptions['orderingKey']> = true): MethodDecorator =>
  extra('OrderingKey', 'orderingKey', by);

/** Messages (or batches) of the handler that run at once, in each instance. @publicApi */
export const Concurrency = (max: number): MethodDecorator => extra('Concurrency', 'concurrency', max);

/** At most `max` starts in any `per`, in each instance. @publicApi */
export const RateLimit = (options: RateLimitOptions): MethodDecorator =>
  extra('RateLimit', 'rateLimit', options);

/** What was handled once, by its message id, is not handled again. @publicApi */
export const Deduplicate = (options: DeduplicationOptions | boolean = true): MethodDecorator =>
  extra('Deduplicate', 'deduplication', options);

/** The handler's event is emitted at these times, once in the whole fleet: cron's fields, or more. @publicApi */
export const Schedule = (when: string | ScheduleOptions): MethodDecorator =>
  extra('Schedule', 'schedule', when);

/** A handler that takes longer has failed; its signal aborts. @publicApi */
export const HandlerTimeout = (timeout: Duration): MethodDecorator =>
  extra('HandlerTimeout', 'timeoutMs', timeout);

function extra<K extends keyof HandlerOptions>(
  decorator: string,
  key: K,
  value: HandlerOptions[K],
): MethodDecorator {
  return (_target, method, descriptor) => {
    const handler = descriptor.value as object;
    const before = (Reflect.getMetadata(PATTERN_EXTRAS_METADATA, handler) ?? {}) as DecoratedExtras;
    if (before[key] !== undefined) {
      throw new QueueOptionsException(
        `${String(method)} has @${decorator}, and '${key}' a second time.`,
        'Give it once: by the decorator or in the extras.',
      );
    }
    const decorated = { ...before[DECORATED], [key]: value };
    Reflect.defineMetadata(
      PATTERN_EXTRAS_METADATA,
      { ...before, [key]: value, [DECORATED]: decorated },
      handler,
    );
  };
}
