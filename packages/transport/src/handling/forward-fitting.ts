import type { FieldValue } from '@nestmq/broker';
import { HEADER } from '../envelope.js';
import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';

/** What client libraries write of headers at most is 64 KiB; this leaves room for the other properties. */
const HEADERS_BYTES_MAX = 60_000;

/**
 * As {@link Link.forward}. A retry or a dead letter has more headers than its message had: when those do not fit the wire
 * any more, the error's stack and text go first, then the producer's largest headers, whose names are kept in
 * `x-nestmq-dropped-headers`. Else the message would come again and again, without end.
 */
export async function forwardFitting(
  link: Link,
  delivery: LinkDelivery,
  messages: readonly ForwardedMessage[],
): Promise<void> {
  try {
    await link.forward(delivery, messages);
  } catch (error) {
    // By its name: it may come from another realm.
    if ((error as Error | undefined)?.name !== 'RangeError') throw error;
    await link.forward(delivery, messages.map(fitting));
  }
}

function fitting(message: ForwardedMessage): ForwardedMessage {
  const { properties } = message;
  const {
    [HEADER.errorStack]: _stack,
    [HEADER.errorMessage]: _text,
    ...headers
  } = { ...properties.headers } as Record<string, FieldValue>;
  const dropped: string[] = [];
  const largestFirst = Object.keys(headers)
    .filter((name) => !name.startsWith('x-nestmq-'))
    .toSorted((a, b) => sizeOf(headers[b]) - sizeOf(headers[a]));
  for (const name of largestFirst) {
    if (sizeOf(headers) <= HEADERS_BYTES_MAX) break;
    delete headers[name];
    dropped.push(name.slice(0, 100));
  }
  if (dropped.length > 0) headers[HEADER.dropped] = dropped.slice(0, 100);
  return { ...message, properties: { ...properties, headers } };
}

/** About what it takes on the wire, rather more. */
function sizeOf(value: unknown): number {
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? String(part) : part,
  ) as string | undefined;
  return Buffer.byteLength(text ?? '');
}
