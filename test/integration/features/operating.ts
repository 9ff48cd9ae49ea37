import { expect, it } from '@jest/globals';
import { type Link, QueueAdmin, QueueHealthIndicator } from '@nestmq/transport';
import { defer, lastValueFrom } from 'rxjs';
import { type FeatureFixture, until } from './feature-fixture.js';

export function operatingFeatures(on: FeatureFixture): void {
  it('admin: depth, peek, pause and resume, redrive', async () => {
    if (on.home === undefined) return;
    let fails = true;
    const app = await on.service([
      on.event(
        'job',
        (data) => {
          if (fails) throw new Error('the bank is closed');
          on.seen.add(String(data));
        },
        { retry: { attempts: 1 } },
      ),
    ]);
    const admin = app.app.get(QueueAdmin);
    await on.emit(app, 'job', 1);
    await until(async () => (await admin.deadLetters(on.id).list()).length === 1);
    const [letter] = await admin.deadLetters(on.id).list();
    expect(letter).toMatchObject({ data: 1, reason: 'attempts', error: { message: 'the bank is closed' } });
    fails = false;
    admin.pause(on.id);
    expect(await admin.deadLetters(on.id).redrive()).toMatchObject({ count: 1 });
    await until(async () => (await admin.depth(on.id)).ready === 1);
    expect(await admin.peek(on.id)).toMatchObject([{ data: 1, pattern: `${on.id}.job`, attempt: 1 }]);
    await admin.resume(on.id);
    expect(await on.seen.until(1)).toEqual(['1']);
  });

  it('health: says what is', async () => {
    if (on.home === undefined) return;
    const app = await on.service([on.event('job', on.saying('job'))]);
    const health = app.app.get(QueueHealthIndicator);
    expect(await health.isHealthy('queue')).toMatchObject({ queue: { status: 'up' } });
    await app.server.unwrap<Link>().deleteQueue(on.id);
    await until(async () =>
      health.isHealthy('queue').then(
        ({ queue }) => (queue as { status?: string }).status === 'down',
        () => true,
      ),
    );
  });

  it('drain: what runs is awaited, what has not begun is for others', async () => {
    if (on.home === undefined) return;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const first = await on.service(
      [
        on.event('job', async (data) => {
          on.seen.add(`first began ${String(data)}`);
          await held;
          on.seen.add(`first ended ${String(data)}`);
        }),
      ],
      { prefetchCount: 2 },
    );
    for (const n of [1, 2, 3, 4]) await on.emit(first, 'job', n);
    await on.seen.until(2);
    const closed = first.app.close();
    await lastValueFrom(defer(async () => release()));
    await closed;
    expect(on.seen.items).toEqual(['first began 1', 'first began 2', 'first ended 1', 'first ended 2']);
    await on.service([on.event('job', (data) => on.seen.add(`second ${String(data)}`))]);
    expect((await on.seen.until(6)).slice(4).toSorted()).toEqual(['second 3', 'second 4']);
  });
}
