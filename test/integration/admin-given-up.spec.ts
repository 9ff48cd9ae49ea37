import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { QueueAdmin, QueueContext } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Collector, startApp } from './app.js';

const clock = new ManualClock();

describe('dead letters that the broker gave up', () => {
  it('go back to the handlers of the pattern that they were sent with', async () => {
    const taken = new Collector<string>();
    @Controller()
    class Slow {
      @EventPattern<string>('slow.*', { queue: 'slow' })
      take(@Payload() data: string, @Ctx() context: QueueContext): void {
        taken.add(`${context.pattern} ${data}`);
      }
    }
    const app = await startApp(
      { url: 'memory:other', queueOptions: { arguments: { 'x-message-ttl': 1000 } }, broker: { clock } },
      { controllers: [Slow] },
    );
    const ops = app.app.get(QueueAdmin);
    ops.pause('slow');
    await lastValueFrom(app.client.emit('slow.one', 'x'), { defaultValue: undefined });
    clock.advance(2000);
    while ((await ops.depth('slow.dead')).ready === 0) await new Promise(setImmediate);
    expect(await ops.deadLetters('slow').list()).toEqual([
      expect.objectContaining({
        pattern: 'slow.one',
        queue: 'slow',
        reason: 'expired',
        attempts: 0,
        error: undefined,
      }),
    ]);
    await ops.resume('slow');
    expect(await ops.deadLetters('slow').redrive()).toEqual({ count: 1, complete: true });
    expect(await taken.until(1)).toEqual(['slow.one x']);
    await app.app.close();
  });

  it('are apart from those of other queues that share a place for them', async () => {
    @Controller()
    class Two {
      @EventPattern('a', { queue: 'a', deadLetter: 'all.dead' })
      a(_data: unknown): void {
        throw new Error('a fails');
      }
      @EventPattern('b', { queue: 'b', deadLetter: 'all.dead' })
      b(_data: unknown): void {
        throw new Error('b fails');
      }
    }
    const app = await startApp({ url: 'memory:other', retry: { attempts: 1 } }, { controllers: [Two] });
    const ops = app.app.get(QueueAdmin);
    for (const pattern of ['a', 'b', 'a'])
      await lastValueFrom(app.client.emit(pattern, pattern), { defaultValue: undefined });
    while ((await ops.depth('all.dead')).ready < 3) await new Promise(setImmediate);
    expect((await ops.deadLetters('a').list()).map(({ data }) => data)).toEqual(['a', 'a']);
    expect(await ops.deadLetters('b').discard()).toEqual({ count: 1, complete: true });
    expect((await ops.depth('all.dead')).ready).toBe(2);
    await app.app.close();
  });
});
