import type { HandlerOptions } from './handler.options.js';
import { QueueOptionsException } from './queue.exceptions.js';

/**
 * What decorators said, beside the extras: when @EventPattern stands above them, its extras are put over theirs, and this
 * tells what was there.
 */
export const DECORATED: unique symbol = Symbol('nestmq:decorated');

export interface DecoratedExtras extends HandlerOptions {
  readonly [DECORATED]?: HandlerOptions;
}

/** Throws QueueOptionsException when the extras of what `where` names say another thing than a decorator. */
export function assertNotContradicted(where: string, extras: DecoratedExtras): void {
  const decorated = extras[DECORATED] ?? {};
  for (const key of Object.keys(decorated) as (keyof HandlerOptions)[]) {
    if (extras[key] === decorated[key]) continue;
    throw new QueueOptionsException(
      `'${key}' of ${where} is given by a decorator and in the extras.`,
      'Give it once: by the decorator or in the extras.',
    );
  }
}
