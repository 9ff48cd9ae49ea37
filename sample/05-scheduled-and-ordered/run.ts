import { ManualClock } from '@nestmq/broker';
import { QueueClient, QueueRecordBuilder } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { startHandlers } from '../start.js';
import { until } from '../waiting.js';
import { Journal, type Movement, WarehouseController } from './warehouse.controller.js';

const MINUTE_MS = 60_000;
const MOVEMENTS: readonly Movement[] = [
  { article: 'mug', step: 'taken', isJammed: true },
  { article: 'mug', step: 'packed' },
  { article: 'cup', step: 'taken' },
];

/**
 * A day in a warehouse, in half a second: its clock moves by hand, from midnight on (UTC). An application has the system's
 * clock, and leaves `broker: { clock }` out. Resolves with what happened.
 */
export async function run(url: string): Promise<readonly string[]> {
  const clock = new ManualClock(Date.UTC(2026, 5, 1));
  const app = await startHandlers(
    { url, queue: 'warehouse', broker: { clock } },
    [WarehouseController],
    [Journal],
  );
  try {
    const { lines } = app.get(Journal);
    const emit = (pattern: string, data: unknown): Promise<unknown> =>
      lastValueFrom(app.get(QueueClient).emit(pattern, data));
    /** Lets time pass, a minute at a time, until so much has happened. */
    const passUntil = (count: number): Promise<void> =>
      until(() => {
        if (lines.length < count) clock.advance(MINUTE_MS);
        return lines.length >= count;
      }, 1);

    for (const movement of MOVEMENTS) await emit('stock.moved', movement);
    await until(() => lines.length === 2);
    lines.push('-- a minute later');
    await passUntil(5);

    for (const label of ['A', 'B', 'C', 'D']) await emit('label.wanted', label);
    await until(() => lines.length === 6);
    lines.push('-- ten seconds later');
    await passUntil(8);

    const reminder = new QueueRecordBuilder({ order: 'ord-1' }).setDelay('2h').build();
    await emit('pickup.reminder', reminder);
    lines.push('-- hours later');
    await passUntil(11);
    return lines;
  } finally {
    await app.close();
  }
}
