import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { type HarnessOptions, QueueTestHarness } from '@nestmq/testing';
import { QueueContext, QueueModule, QueueServer } from '@nestmq/transport';

interface Item {
  readonly id: number;
  readonly customer?: string;
}

const handled: unknown[] = [];

@Controller()
class Shop {
  @EventPattern<string>('item.added', { retry: { attempts: 3, delay: '5m', jitter: 0 } })
  added(@Payload() { id }: Item): void {
    handled.push(id);
  }
  @EventPattern<string>('item.moved', { orderingKey: 'customer', queue: 'moves' })
  moved(@Payload() { id }: Item): void {
    handled.push(id);
  }
  @EventPattern<string>('item.counted', { batch: { size: 3, timeoutMs: 50 }, queue: 'counts' })
  counted(@Payload() items: readonly Item[]): void {
    handled.push(items.map(({ id }) => id));
  }
  @EventPattern<string>('item.lent', { prefetchCount: 2, queue: 'loans' })
  lent(@Payload() { id }: Item): void {
    handled.push(id);
  }
  @EventPattern<string>('item.packed', { queue: 'packing' })
  async packed(@Payload() { id }: Item, @Ctx() { signal, redelivered }: QueueContext): Promise<void> {
    handled.push([id, redelivered]);
    if (!redelivered) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }
  @EventPattern<string>('item.seen', { noAck: true, queue: 'seen' })
  seen(@Payload() { id }: Item): void {
    handled.push(id);
  }
  @MessagePattern('item.price')
  price(@Payload() { id }: Item, @Ctx() context: QueueContext): unknown {
    handled.push(id);
    return { price: id * 10, pattern: context.getPattern() };
  }
}

let harness: QueueTestHarness;
afterEach(async () => {
  await harness.close();
});

async function start(options: Pick<HarnessOptions<never>, 'over' | 'clock'> = {}): Promise<void> {
  handled.length = 0;
  const builder = () => {
    const imports = [QueueModule.forRoot({ url: 'memory:', queue: 'shop' })];
    return Test.createTestingModule({ imports, controllers: [Shop] }).setLogger(false as never);
  };
  harness = await QueueTestHarness.start(builder, options);
}

/** Looks once in each turn of the loop; a test that waits in vain ends by its time limit. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}

async function emitAll(pattern: string, ...items: readonly Item[]): Promise<void> {
  for (const item of items) await harness.emit(pattern, item);
}

describe('reorderNext', () => {
  it('hands over the next messages of a pattern the last one first, and then as they come', async () => {
    await start();
    const reordered = harness.reorderNext('item.*', 3);
    await emitAll('item.added', { id: 1 }, { id: 2 }, { id: 3 }, { id: 4 });
    expect((await reordered).map(({ data }) => (data as Item).id)).toEqual([3, 2, 1]);
    await harness.idle();
    expect(handled.filter((id) => id !== 4)).toEqual([3, 2, 1]);
    await emitAll('item.added', { id: 5 }, { id: 6 });
    await harness.idle();
    expect(handled.slice(-2)).toEqual([5, 6]);
    expect(harness.timeline()).toContain('held back, 2 of 3 (reorderNext)');
  });

  it('keeps the order of messages with one ordering key, and reorders those of different keys', async () => {
    await start();
    const reordered = harness.reorderNext('item.moved', 4);
    const [ada, bob] = [{ customer: 'ada' }, { customer: 'bob' }];
    await emitAll('item.moved', { id: 1, ...ada }, { id: 2, ...ada }, { id: 3, ...bob }, { id: 4, ...ada });
    expect((await reordered).map(({ data }) => (data as Item).id)).toEqual([3, 1, 2, 4]);
    await harness.idle();
    expect(handled).toEqual([3, 1, 2, 4]);
  });

  it('says so when all have one ordering key, and hands them over as they came', async () => {
    await start();
    const reordered = harness.reorderNext('item.moved', 2);
    const error = reordered.catch(String);
    await emitAll('item.moved', { id: 1, customer: 'ada' }, { id: 2, customer: 'ada' });
    expect(await error).toContain(
      "reorderNext('item.moved', 2) can't be met: all of them have the ordering key 'ada', and messages of one key keep their order.\n\nitem.moved",
    );
    await harness.idle();
    expect(handled).toEqual([1, 2]);
  });

  it('says so when the queue hands over fewer at once', async () => {
    await start();
    const error = harness.reorderNext('item.lent', 3).catch(String);
    await emitAll('item.lent', { id: 1 }, { id: 2 }, { id: 3 });
    expect(await error).toContain("the queue 'loans' hands over 2 message(s) at once (prefetchCount)");
    await harness.idle();
    expect(handled).toEqual([1, 2, 3]);
  });

  it('says so when not all of them come, and hands over those that did', async () => {
    await start();
    const error = harness.reorderNext('item.added', 3).catch(String);
    await emitAll('item.added', { id: 1 }, { id: 2 });
    expect(await error).toContain('only 2 of them came within 2000 ms.');
    await harness.idle();
    expect(handled).toEqual([1, 2]);
  });

  it('reorders requests, each with its own answer', async () => {
    await start();
    const reordered = harness.reorderNext('item.price', 2);
    const answers = [1, 2].map((id) => harness.send('item.price', { id }));
    expect(await Promise.all(answers)).toMatchObject([{ price: 10 }, { price: 20 }]);
    expect((await reordered).map(({ kind }) => kind)).toEqual(['request', 'request']);
    expect(handled).toEqual([2, 1]);
  });

  it('reorders what is in a batch, and what is settled as it is handed over', async () => {
    await start();
    await Promise.all([
      harness.reorderNext('item.counted', 3),
      emitAll('item.counted', { id: 1 }, { id: 2 }, { id: 3 }),
    ]);
    await Promise.all([harness.reorderNext('item.seen', 2), emitAll('item.seen', { id: 4 }, { id: 5 })]);
    await harness.idle();
    expect(handled).toEqual([[3, 2, 1], 5, 4]);
  });

  it('can not be asked for fewer than two', async () => {
    await start();
    for (const count of [1, 0, 2.5]) expect(() => harness.reorderNext('#', count)).toThrow(TypeError);
  });

  it('holds nothing back from a shutdown, nor hands anything to who was killed', async () => {
    await start();
    void harness.reorderNext('item.added', 2);
    await emitAll('item.added', { id: 1 });
    await harness.crash();
    expect(handled).toEqual([]);
    await harness.restart();
    await harness.consumed('item.added', ({ data }) => (data as Item).id === 1);
    void harness.reorderNext('item.added', 2);
    await emitAll('item.added', { id: 2 });
    await harness.restart();
    await harness.idle();
    expect(handled).toEqual([1, 2]);
  });
});

describe('disconnect', () => {
  it('loses the connections of the application, which comes back: what was in hand comes again', async () => {
    await start({ over: 'amqp' });
    const heard: string[] = [];
    const server = harness.module.get(QueueServer, { strict: false });
    server.on('disconnect', () => heard.push('disconnect'));
    const connected = new Promise<void>((resolve) => {
      server.on('connect', resolve);
    });
    await harness.emit('item.packed', { id: 1 });
    await until(() => handled.length === 1);
    harness.disconnect();
    await connected;
    expect(heard).toEqual(['disconnect']);
    await harness.consumed('item.packed');
    expect(handled).toEqual([
      [1, false],
      [1, true],
    ]);
    await harness.idle();
  });

  it('has what is emitted meanwhile wait, and tells who waits for an answer', async () => {
    await start({ over: 'amqp' });
    expect(await harness.send('item.price', { id: 1 })).toMatchObject({ price: 10 });
    void harness.reorderNext('item.price', 2);
    const lost = harness.send('item.price', { id: 2 }).catch(String);
    await until(() => harness.timeline().includes('held back'));
    harness.disconnect();
    await harness.emit('item.added', { id: 3 });
    expect(await lost).toContain('lost');
    await harness.consumed('item.added');
  });

  it('survives a crash over AMQP as well', async () => {
    await start({ over: 'amqp' });
    await harness.emit('item.packed', { id: 1 });
    await until(() => handled.length === 1);
    await harness.crash();
    await harness.restart();
    await harness.consumed('item.packed');
    expect(handled.at(-1)).toEqual([1, true]);
  });

  it('can not be asked of an application that has no connection', async () => {
    await start();
    expect(() => harness.disconnect()).toThrow("Start it with { over: 'amqp' }");
  });
});

describe('other faults, with requests and batches', () => {
  it('duplicateNext: a request is handled twice and answered once; a batch gets both', async () => {
    await start();
    harness.duplicateNext('item.price');
    expect(await harness.send('item.price', { id: 1 })).toMatchObject({ price: 10 });
    await harness.consumed('item.price').times(2);
    harness.duplicateNext('item.counted');
    await emitAll('item.counted', { id: 2 }, { id: 3 });
    await harness.consumed('item.counted').times(3);
    expect(handled).toEqual([1, 1, [2, 2, 3]]);
    await harness.idle();
  });

  it('delayConfirms: a request is answered all the same, and a batch is handled before anybody is told', async () => {
    await start();
    const release = harness.delayConfirms();
    expect(await harness.send('item.price', { id: 1 })).toMatchObject({ price: 10 });
    let told = 0;
    const emits = [2, 3, 4].map(async (id) => {
      await harness.emit('item.counted', { id });
      told++;
    });
    await harness.consumed('item.counted').times(3);
    expect([handled, told]).toEqual([[1, [2, 3, 4]], 0]);
    release();
    await Promise.all(emits);
    expect(told).toBe(3);
  });

  it('full: events and requests wait, batches that are there are handled, and then all goes on', async () => {
    await start();
    await emitAll('item.counted', { id: 1 });
    const release = harness.full();
    const [emitted, asked] = [harness.emit('item.added', { id: 2 }), harness.send('item.price', { id: 3 })];
    await harness.consumed('item.counted');
    expect(handled).toEqual([[1]]);
    release();
    await emitted;
    expect(await asked).toMatchObject({ price: 30 });
    await harness.consumed('item.added');
  });

  it('failNext: a batch fails as a whole, and is tried again', async () => {
    await start({ clock: 'manual' });
    harness.failNext('item.counted', new Error('no pencil'));
    await emitAll('item.counted', { id: 1 }, { id: 2 }, { id: 3 });
    const failed = await harness.retried('item.counted').times(3);
    expect(failed.map(({ error }) => String(error))).toEqual(Array(3).fill('Error: no pencil'));
    await harness.advance('1h');
    await harness.consumed('item.counted').times(3);
  });
});
