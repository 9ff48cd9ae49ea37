import { QueueOptionsException } from './queue.exceptions.js';

/** A routing key is a short string on the wire. Bytes. */
const ROUTING_KEY_BYTES_MAX = 255;
/** What Nest writes for the rest of an object pattern that is too deep or too wide. */
const CUT_OFF = ['[MAX_DEPTH_REACHED]', '[TOO_MANY_KEYS]'];

/**
 * The routing key of a pattern: what Nest has made of it. Throws QueueOptionsException for what can't be one, since it
 * would be refused on the wire, or stand for other patterns as well.
 */
export function routingKeyOf(pattern: unknown, normalised: unknown): string {
  if (typeof normalised !== 'string') {
    throw new QueueOptionsException(
      `The pattern is ${String(normalised)} (${typeof normalised}).`,
      'Give a string, a number or an object.',
    );
  }
  if (typeof pattern === 'object' && CUT_OFF.some((mark) => normalised.includes(mark))) {
    throw new QueueOptionsException(
      `The pattern '${shortened(normalised)}' is deeper than 5 levels or has more than 20 keys, so Nest does not tell it from others.`,
      'Give a smaller one; what varies belongs in the data.',
    );
  }
  assertLength(normalised);
  return normalised;
}

/** A character is at most three bytes long, so that most need not be measured. */
function assertLength(routingKey: string): void {
  if (routingKey.length * 3 <= ROUTING_KEY_BYTES_MAX) return;
  const bytes = Buffer.byteLength(routingKey);
  if (bytes <= ROUTING_KEY_BYTES_MAX) return;
  throw new QueueOptionsException(
    `The pattern '${shortened(routingKey)}' has ${bytes} bytes.`,
    `Give one of at most ${ROUTING_KEY_BYTES_MAX} bytes as UTF-8. What varies belongs in the data.`,
  );
}

function shortened(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}
