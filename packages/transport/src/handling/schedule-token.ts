import { DELIVERY_MODE_PERSISTENT } from '@nestmq/broker';
import type { ForwardedMessage } from '../links/link.js';

/** A schedule that no instance has known for so long is forgotten: milliseconds. */
const UNKNOWN_MS_MAX = 30 * 86_400_000;

/** Up to when each schedule has been seen to, by its key. Milliseconds since the epoch. */
export type SeenTo = ReadonlyMap<string, number>;

export interface ScheduleToken {
  /** Of this writing of it. */
  readonly id: string;
  readonly seenTo: SeenTo;
}

interface Body {
  readonly id?: unknown;
  readonly seenTo?: unknown;
}

/** The token as a message in its queue. */
export function tokenMessage(
  queue: string,
  { id, seenTo }: ScheduleToken,
): Required<Pick<ForwardedMessage, 'body'>> & ForwardedMessage {
  const times = [...seenTo].map(([key, ms]) => [key, new Date(ms).toISOString()] as const);
  const body = Buffer.from(JSON.stringify({ id, seenTo: Object.fromEntries(times) }));
  const properties = { contentType: 'application/json', deliveryMode: DELIVERY_MODE_PERSISTENT };
  return { exchange: '', routingKey: queue, properties, body };
}

/** What can't be read tells nothing: it is a token all the same. */
export function readToken(body: Buffer): ScheduleToken {
  const { id, seenTo } = parsed(body);
  const seen = new Map<string, number>();
  for (const [key, time] of Object.entries(typeof seenTo === 'object' && seenTo !== null ? seenTo : {})) {
    const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
    if (Number.isFinite(ms)) seen.set(key, ms);
  }
  return { id: typeof id === 'string' ? id : '', seenTo: seen };
}

function parsed(body: Buffer): Body {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Of two tokens the later times: what either has seen to is done. */
export function merged(one: SeenTo, other: SeenTo): SeenTo {
  const both = new Map(one);
  for (const [key, ms] of other) both.set(key, Math.max(ms, both.get(key) ?? ms));
  return both;
}

/** Without schedules that are unknown here, and that nobody else has seen to for long. */
export function withoutForgotten(seenTo: SeenTo, known: ReadonlySet<string>, nowMs: number): SeenTo {
  return new Map([...seenTo].filter(([key, ms]) => known.has(key) || nowMs - ms < UNKNOWN_MS_MAX));
}
