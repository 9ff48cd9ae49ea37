import { writeSync } from 'node:fs';
import { type Connection, DELIVERY_MODE_PERSISTENT, type Message, openBroker } from '@nestmq/broker';
import { CompactionWatch } from './compaction-watch.js';
import type { Plan } from './engine-plans.js';
import { Ledger } from './ledger.js';
import { Settlements } from './settlements.js';

/** What a worker works with. */
export interface Session {
  readonly plan: Plan;
  readonly connection: Connection;
  readonly ledger: Ledger;
  readonly settlements: Settlements;
  readonly watch: CompactionWatch;
  /** Makes everything durable, and lets go of the directory. */
  close(): Promise<void>;
}

const STDOUT = 1;

/** Tells the parent, at once, what the worker has come to. */
export function say(word: string): void {
  writeSync(STDOUT, `${word}\n`);
}

/** Opens a broker on the directory, and declares the plan's queues. Says when it begins, and when it is ready. */
export async function openSession(plan: Plan, directory: string, ledgerPath: string): Promise<Session> {
  const ledger = new Ledger(ledgerPath);
  ledger.write('life', 'all', 0);
  say('opening');
  const broker = await openBroker({
    directory,
    segmentBytesMax: plan.segmentBytesMax,
    // Less than what is under way: some deliveries come from the disk.
    cacheBytesMax: plan.segmentBytesMax,
    ...(plan.diskFreeBytesMin === undefined ? {} : { diskFreeBytesMin: plan.diskFreeBytesMin }),
    onFailure: reportFailure,
  });
  say('ready');
  const connection = broker.connect();
  for (const queue of Object.keys(plan.decisions)) await connection.declareQueue(queue);
  const watch = new CompactionWatch(directory, () => say('compacted'));
  const settlements = new Settlements(connection, ledger, () => watch.look());
  return { plan, connection, ledger, settlements, watch, close: () => broker.close() };
}

/** A full disk may be what the phase is about; anything else ends the worker with its error. */
function reportFailure(error: Error): void {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOSPC') return say('failed');
  return process.nextTick(() => {
    throw error;
  });
}

/** The same number has the same body in every life. */
export function messageOf(number: number, { queueOf, bodyBytesMax }: Plan): Message {
  return {
    exchange: '',
    routingKey: queueOf(number),
    properties: { deliveryMode: DELIVERY_MODE_PERSISTENT, messageId: String(number) },
    body: bodyOf(number, bodyBytesMax),
  };
}

export function numberOf({ properties }: Message): number {
  return Number(properties.messageId);
}

export function isWhole({ properties, body }: Message, { bodyBytesMax }: Plan): boolean {
  return body.equals(bodyOf(Number(properties.messageId), bodyBytesMax));
}

/** Sizes from 1 byte to the maximum, as good as at random. */
function bodyOf(number: number, bytesMax: number): Buffer {
  return Buffer.alloc(1 + ((number * 7919) % bytesMax), `${number} `);
}
