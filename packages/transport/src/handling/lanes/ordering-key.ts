import { HEADER } from '../../envelope.js';
import type { HandlerPolicy } from '../../handler.options.js';
import { describe } from '../../option-checks.js';
import { UnrecoverableException } from '../../retry.exceptions.js';
import type { Run } from '../work.js';

/**
 * The key that a message keeps its order by; undefined: none. Throws what a key function throws, and
 * UnrecoverableException for a key that is neither text nor a number.
 */
export function orderingKeyOf({ work, context }: Run, by: HandlerPolicy['orderingKey']): string | undefined {
  const { data, pattern } = work.received;
  const key: unknown = keyBy(by, data, context.getHeaders());
  if (key === undefined || key === null) return undefined;
  if (typeof key === 'string') return key;
  if (typeof key === 'number' || typeof key === 'bigint') return String(key);
  // The rejection of a function that is async by mistake is nobody's.
  if (key instanceof Promise) key.catch(() => undefined);
  throw new UnrecoverableException(
    `The ordering key of '${pattern}' is ${describe(key)}; it has to be a string or a number, or undefined for no order.`,
  );
}

function keyBy(
  by: HandlerPolicy['orderingKey'],
  data: unknown,
  headers: Readonly<Record<string, unknown>>,
): unknown {
  if (by === true) return headers[HEADER.orderingKey];
  if (typeof by === 'function') return by(data as never, headers);
  if (by === undefined || typeof data !== 'object' || data === null || !Object.hasOwn(data, by)) {
    return undefined;
  }
  return (data as Record<string, unknown>)[by];
}
