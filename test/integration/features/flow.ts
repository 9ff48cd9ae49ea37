import { expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { QueueAdmin, type QueueBatchContext, QueueRecordBuilder } from '@nestmq/transport';
import { type FeatureFixture, until } from './feature-fixture.js';

export function flowFeatures(on: FeatureFixture): void {
  it('concurrency: so many run at once, and no more', async () => {
    if (on.home === undefined) return;
    let running = 0;
    let most = 0;
    const app = await on.service([
      on.event(
        'job',
        async (data) => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, 10));
          running--;
          on.seen.add(String(data));
        },
        { concurrency: 2 },
      ),
    ]);
    for (let i = 0; i < 10; i++) await on.emit(app, 'job', i);
    await on.seen.until(10);
    expect(most).toBe(2);
  });

  it('rateLimit: so many start in a while', async () => {
    if (on.home === undefined) return;
    const starts: number[] = [];
    const app = await on.service([
      on.event(
        'job',
        (data) => {
          starts.push(performance.now());
          on.seen.add(String(data));
        },
        { rateLimit: { max: 2, per: 200 } },
      ),
    ]);
    for (let i = 0; i < 6; i++) await on.emit(app, 'job', i);
    await on.seen.until(6);
    expect((starts[5] as number) - (starts[0] as number)).toBeGreaterThanOrEqual(395);
  });

  it('orderingKey: the order of a key holds through failures, keys side by side', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event(
        'step',
        ({ key, n }: { key: string; n: number }, { attempt }) => {
          on.seen.add(`${key}${n}.${attempt}`);
          if (key === 'a' && n === 1 && attempt < 3) throw new Error('not yet');
        },
        { queue: `${on.id}-ordered`, orderingKey: 'key' },
      ),
    ]);
    for (const step of ['a1', 'b1', 'a2', 'b2', 'a3'])
      await on.emit(app, 'step', { key: step.at(0), n: Number(step.at(1)) });
    const all = await on.seen.until(7);
    expect(all.filter((one) => one.startsWith('a'))).toEqual(['a1.1', 'a1.2', 'a1.3', 'a2.1', 'a3.1']);
    expect(all.filter((one) => one.startsWith('b'))).toEqual(['b1.1', 'b2.1']);
  });

  it('batch: a list at a time, of which some may fail', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event(
        'item',
        (data: unknown, context) => {
          const { contexts } = context as unknown as QueueBatchContext;
          on.seen.add(`${String(data)} (${contexts.length})`);
        },
        { queue: `${on.id}-batch`, batch: { size: 3, timeoutMs: 200 } },
      ),
    ]);
    for (let i = 1; i <= 5; i++) await on.emit(app, 'item', i);
    expect(await on.seen.until(2)).toEqual(['1,2,3 (3)', '4,5 (2)']);
  });

  it('priority: what is more urgent comes first', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event('job', on.saying('job'), { queue: `${on.id}-urgent`, priority: 5, prefetchCount: 1 }),
    ]);
    const admin = app.app.get(QueueAdmin);
    admin.pause(`${on.id}-urgent`);
    for (const priority of [1, 5, 3])
      await on.emit(app, 'job', new QueueRecordBuilder(priority).setPriority(priority).build());
    await until(async () => (await admin.depth(`${on.id}-urgent`)).ready === 3);
    await admin.resume(`${on.id}-urgent`);
    expect(await on.seen.until(3)).toEqual(['job 5 1', 'job 3 1', 'job 1 1']);
  });

  it('deduplication: what was handled once is not handled again', async () => {
    if (on.home === undefined) return;
    const app = await on.service([on.event('paid', on.saying('paid'), { deduplication: true })]);
    const once = new QueueRecordBuilder('p').setDeduplicationId('payment-1').build();
    await on.emit(app, 'paid', once);
    await on.seen.until(1);
    await on.emit(app, 'paid', once);
    await on.emit(app, 'paid', 'other');
    expect(await on.seen.until(2)).toEqual(['paid p 1', 'paid other 1']);
  });

  it('schedule: one firing in the whole fleet', async () => {
    if (on.home === undefined) return;
    const ticking = (): Type<unknown> =>
      on.event('tick', (_data, { messageId }) => on.seen.add(messageId), { schedule: '* * * * * *' });
    await on.service([ticking()]);
    await on.service([ticking()]);
    const firings = await on.seen.until(3);
    expect(new Set(firings).size).toBe(3);
  });
}
