import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { DeadLetter, QueueContext, QueueModule, Retry } from '@nestmq/transport';
import { Collector, type StartedApp, startApp } from '../app.js';
import { emitAll, linkOf, pass, settled } from './support.js';

const seen = new Collector<string>();
let broken: ReadonlySet<string>;

function handled(who: string, { attempt }: QueueContext): void {
  seen.add(`${who} ${attempt}`);
  if (broken.has(who)) throw new Error(`${who} is broken`);
}

@Controller()
class Subscribers {
  @Retry({ attempts: 3, delay: '10s', backoff: 'fixed', jitter: 0 })
  @EventPattern<string>('order.placed')
  mail(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
    handled('mail', context);
  }

  @EventPattern<string>('order.placed')
  @Retry({ attempts: 2, delay: '1m', jitter: 0 })
  stock(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
    handled('stock', context);
  }

  @EventPattern<string>('order.*')
  @DeadLetter('orders.unlogged')
  log(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
    handled('log', context);
  }
}

let clock: ManualClock;
let started: StartedApp;
let memory = 0;
beforeEach(async () => {
  seen.items.length = 0;
  broken = new Set();
  clock = new ManualClock();
  started = await startApp(
    { url: `memory:several-${++memory}`, queue: 'orders', broker: { clock }, retry: { attempts: 1 } },
    { controllers: [Subscribers] },
  );
});
afterEach(() => started.app.close());

describe('several handlers of one event', () => {
  it('are tried again each at its own times, and those that succeeded are not', async () => {
    broken = new Set(['mail', 'stock']);
    await emitAll(started, 'order.placed', [1]);
    await settled();
    expect(seen.items.toSorted()).toEqual(['log 1', 'mail 1', 'stock 1']);
    seen.items.length = 0;
    await pass(clock, 10_000);
    expect(seen.items).toEqual(['mail 2']);
    await pass(clock, 10_000);
    expect(seen.items).toEqual(['mail 2', 'mail 3']);
    broken = new Set();
    await pass(clock, 40_000);
    expect(seen.items).toEqual(['mail 2', 'mail 3', 'stock 2']);
    const letters = await linkOf(started).peek('orders.dead', 10);
    expect(letters.map(({ properties }) => properties.headers)).toMatchObject([
      { 'x-nestmq-error-message': 'mail is broken', 'x-nestmq-attempts': 3 },
    ]);
  });

  it('have dead letters of their own, and a redrive runs only the one that failed', async () => {
    broken = new Set(['log', 'mail']);
    await emitAll(started, 'order.placed', [1]);
    await settled();
    await pass(clock, 20_000, 10_000);
    const link = linkOf(started);
    expect(await link.queueState('orders.unlogged')).toMatchObject({ ready: 1 });
    seen.items.length = 0;
    broken = new Set();
    for (const queue of ['orders.unlogged', 'orders.dead']) {
      const letter = await link.take(queue);
      const { properties } = letter?.message ?? {};
      await link.forward(letter as never, [
        { exchange: '', routingKey: 'orders', properties: properties as never },
      ]);
    }
    await settled();
    expect(seen.items).toEqual(['log 1', 'mail 1']);
    expect(await link.queueState('orders')).toMatchObject({ ready: 0, unsettled: 0 });
  });
});

describe("a decorator's policy", () => {
  it("goes before what forFeature says for the module's handlers", async () => {
    @Controller()
    class Featured {
      @EventPattern<string>('featured')
      @Retry({ attempts: 2, delay: 0 })
      decorated(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
        handled('decorated', context);
      }
      @EventPattern<string>('featured')
      plain(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
        handled('plain', context);
      }
    }
    await started.app.close();
    broken = new Set(['decorated', 'plain']);
    const feature = QueueModule.forFeature({ retry: { attempts: 1 }, queue: 'featured' });
    started = await startApp({ url: 'memory:featured' }, { imports: [feature], controllers: [Featured] });
    await emitAll(started, 'featured', [1]);
    expect((await seen.until(3)).toSorted()).toEqual(['decorated 1', 'decorated 2', 'plain 1']);
    await settled();
    expect(await linkOf(started).queueState('featured.dead')).toMatchObject({ ready: 2 });
  });
});
