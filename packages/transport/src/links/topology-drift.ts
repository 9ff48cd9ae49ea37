import { TopologyDriftException } from '../queue.exceptions.js';

/** AMQP 0-9-1, section 1.2: PRECONDITION_FAILED. */
const PRECONDITION_FAILED = 406;

/**
 * RabbitMQ's words for a declaration that differs from what is there: "inequivalent arg 'x-max-priority' for queue 'q'
 * in vhost '/': received none but current is the value '10' of type 'long'".
 */
const INEQUIVALENT =
  /inequivalent arg '([^']+)' for (?:exchange|queue) '.*' in vhost '.*': received (.+) but current is (.+)$/;

/** What a refused declaration says about what is there; undefined when it was refused for another reason. */
export function driftOf(
  kind: 'queue' | 'exchange',
  name: string,
  error: unknown,
): TopologyDriftException | undefined {
  const { replyCode, code, message } = error as {
    readonly replyCode?: unknown;
    readonly code?: unknown;
    readonly message?: unknown;
  };
  if (replyCode !== PRECONDITION_FAILED && code !== PRECONDITION_FAILED && code !== 'PRECONDITION_FAILED')
    return undefined;
  const [, argument, expected, found] = INEQUIVALENT.exec(String(message)) ?? [];
  if (argument === undefined || expected === undefined || found === undefined) return undefined;
  return new TopologyDriftException({ kind, name, argument, expected, found });
}
