import type { Message } from '../../message/message.js';
import type { Appended, MessageStore, QueueMark, Recovered } from '../message-store.js';
import type { Position } from '../record.js';
import { markAt } from '../recovered-marks.js';

export function persistent(body: string): Message {
  return { exchange: 'x', routingKey: 'key', properties: { deliveryMode: 2 }, body: Buffer.from(body) };
}

export const transient = (body: string): Message => ({ ...persistent(body), properties: {} });

export function durable(store: MessageStore): Promise<void> {
  return new Promise((resolve, reject) => {
    store.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
  });
}

export async function bodiesAt(store: MessageStore, positions: readonly Position[]): Promise<string[]> {
  return (await store.read(positions)).map(({ body }) => body.toString());
}

/** One message of a queue, as it was found at opening. */
export interface FoundMessage {
  readonly body: string;
  readonly sequence: number;
  readonly position: Position;
  readonly deliveryCount: number;
  readonly mark: QueueMark;
}

/** The messages of a queue that an opening has found, in their order. */
export async function foundIn(
  store: MessageStore,
  { entries }: Recovered,
  queueId: number,
): Promise<FoundMessage[]> {
  const columns = entries.get(queueId);
  const positions = [...(columns?.positions ?? [])];
  const bodies = await bodiesAt(store, positions);
  return positions.map((position, i) => ({
    body: bodies[i] as string,
    sequence: columns?.sequences[i] as number,
    position,
    deliveryCount: columns?.deliveryCounts[i] as number,
    mark: markAt(columns ?? {}, i),
  }));
}

/** As many as there are bodies, each in queue 1. */
export function publishAll(store: MessageStore, ...bodies: string[]): Appended[] {
  return bodies.map((body) => store.publish(persistent(body), [1], 0));
}
