import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { type FileSystem, ManualClock, type Message, nodeFileSystem } from '@nestmq/broker';
import { type BrokerLease, leaseBroker, type Link, type QueueOptions } from '@nestmq/transport';
import { Collector, type StartedApp, startApp, temporaryDirectory } from './app.js';

const handled = new Collector<[instance: string, data: unknown]>();
/** What a handler does with the data before it ends. */
let doing: (data: unknown) => Promise<void> | void = () => {};

function paying(instance: string, deduplication: object | true = true) {
  @Controller()
  class Paying {
    @EventPattern<string>('paid', { deduplication })
    async paid(@Payload() data: unknown): Promise<void> {
      handled.add([instance, data]);
      await doing(data);
    }
  }
  return Paying;
}

function paid(messageId: string | undefined, data: unknown): Message {
  const properties = { ...(messageId === undefined ? {} : { messageId }), deliveryMode: 2 };
  return {
    exchange: 'nestmq.events',
    routingKey: 'paid',
    properties,
    body: Buffer.from(JSON.stringify(data)),
  };
}

function publish(link: Link, message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    link.publish(message, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

const linkOf = ({ server }: StartedApp): Link => server.unwrap<Link>();

/** Lets everything that is under way come to its end. */
async function settle(link?: Link): Promise<void> {
  for (let turn = 0; turn < 30; turn++) {
    await link?.flush();
    await new Promise(setImmediate);
  }
}

function gate(): { promise: Promise<void>; open: () => void } {
  let open!: () => void;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

beforeEach(() => {
  handled.items.length = 0;
  doing = () => {};
});

describe('a handler with deduplication', () => {
  let clock: ManualClock;
  let broker: BrokerLease;
  let options: QueueOptions;
  let apps: StartedApp[];

  async function start(...controllers: ReturnType<typeof paying>[]): Promise<StartedApp> {
    const app = await startApp(options, { controllers });
    apps.push(app);
    return app;
  }

  beforeEach(async () => {
    apps = [];
    clock = new ManualClock();
    const memory = randomUUID();
    broker = await leaseBroker({ memory }, { clock });
    options = { url: `memory:${memory}`, queue: 'billing', broker: { clock } };
  });
  afterEach(async () => {
    await Promise.all(apps.map(({ app }) => app.close()));
    await broker.release();
  });

  it('does not get a message again that it has handled, by its id', async () => {
    const app = await start(paying('a'));
    for (const [id, data] of [
      ['1', 'x'],
      ['1', 'y'],
      ['2', 'z'],
      ['1', 'w'],
    ] as const)
      await publish(linkOf(app), paid(id, data));
    await settle();
    expect(handled.items.map(([, data]) => data)).toEqual(['x', 'z']);
    expect(await linkOf(app).queueState('billing')).toMatchObject({ ready: 0, unsettled: 0 });
    expect(app.server.duplicateCount).toBe(2);
  });

  it('gets messages without an id each time', async () => {
    const app = await start(paying('a'));
    for (const data of ['x', 'x']) await publish(linkOf(app), paid(undefined, data));
    await settle();
    expect(handled.items).toHaveLength(2);
  });

  it('gets a message again that failed, and then no more', async () => {
    let failures = 0;
    doing = () => {
      if (failures++ === 0) throw new Error('not yet');
    };
    const app = await start(paying('a'));
    await publish(linkOf(app), paid('1', 'x'));
    await settle();
    clock.advance(1000);
    await settle();
    await publish(linkOf(app), paid('1', 'x'));
    await settle();
    expect(handled.items).toHaveLength(2);
  });

  it('gets two copies one after the other, the second only when the first fails', async () => {
    const first = gate();
    let failures = 0;
    doing = async () => {
      await first.promise;
      if (failures++ === 0) throw new Error('not yet');
    };
    const app = await start(paying('a'));
    for (const data of ['x', 'y', 'z']) await publish(linkOf(app), paid('1', data));
    await settle();
    expect(handled.items.map(([, data]) => data)).toEqual(['x']);
    first.open();
    await settle();
    clock.advance(1000);
    await settle();
    expect(handled.items.map(([, data]) => data)).toEqual(['x', 'y']);
    expect(await linkOf(app).queueState('billing')).toMatchObject({ ready: 0, unsettled: 0 });
  });

  it('hears what other instances have handled, and what was handled before it was there', async () => {
    const first = await start(paying('a'));
    await publish(linkOf(first), paid('1', 'x'));
    await settle();
    const second = await start(paying('b'));
    await publish(linkOf(first), paid('2', 'y'));
    await settle();
    await first.app.close();
    const before = handled.items.length;
    for (const id of ['1', '2', '3']) await publish(linkOf(second), paid(id, id));
    await settle();
    expect(handled.items.slice(before)).toEqual([['b', '3']]);
  });

  it('has a memory of its own beside that of another handler of the same event', async () => {
    const logged: unknown[] = [];
    @Controller()
    class Log {
      @EventPattern<string>('paid', { deduplication: true })
      log(@Payload() data: unknown): void {
        logged.push(data);
        if (logged.length === 1) throw new Error('not yet');
      }
      @EventPattern<string>('#')
      all(@Payload() data: unknown): void {
        logged.push(['all', data]);
      }
    }
    const app = await startApp(options, { controllers: [paying('a'), Log] });
    apps.push(app);
    await publish(linkOf(app), paid('1', 'x'));
    await settle();
    await publish(linkOf(app), paid('1', 'y'));
    await settle();
    clock.advance(1000);
    await settle();
    expect(handled.items).toEqual([['a', 'x']]);
    expect(logged).toEqual(['x', ['all', 'x'], 'y', ['all', 'y']]);
  });

  it('forgets after the window, and what is more than its maximum', async () => {
    const app = await start(paying('a', { window: '10s', max: 2 }));
    for (const id of ['1', '2', '3', '1', '3']) await publish(linkOf(app), paid(id, id));
    await settle();
    expect(handled.items.map(([, data]) => data)).toEqual(['1', '2', '3', '1']);
    clock.advance(10_000);
    await publish(linkOf(app), paid('3', 'again'));
    await settle();
    expect(handled.items.at(-1)).toEqual(['a', 'again']);
    expect(await linkOf(app).queueState('billing.inbox.paid@0')).toMatchObject({ ready: 1 });
  });

  it('has handled what it was done with when the connection was lost, and is not called again', async () => {
    const running = gate();
    doing = () => running.promise;
    const app = await start(paying('a'));
    await publish(linkOf(app), paid('1', 'x'));
    await settle();
    // As when the broker hands it out anew: a second copy, and the first delivery can't be settled any more.
    await publish(linkOf(app), paid('1', 'x'));
    running.open();
    await settle();
    expect(handled.items).toHaveLength(1);
  });

  it('gives copies that wait back when the service is closed', async () => {
    const running = gate();
    doing = () => running.promise;
    const app = await start(paying('a'));
    for (const data of ['x', 'y']) await publish(linkOf(app), paid('1', data));
    await settle();
    const closed = app.app.close();
    await settle();
    running.open();
    await closed;
    const next = await start(paying('b'));
    await settle();
    expect(handled.items).toEqual([['a', 'x']]);
    expect(await linkOf(next).queueState('billing')).toMatchObject({ ready: 0, unsettled: 0 });
  });

  it('is of events only', async () => {
    @Controller()
    class Answering {
      @MessagePattern('paid', { deduplication: true })
      paid(): void {
        // Never.
      }
    }
    await expect(startApp(options, { controllers: [Answering] })).rejects.toThrow('@EventPattern');
  });
});

describe('a handler with deduplication, on file:', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  it('remembers after a restart', async () => {
    const options = { url: `file:${directory.path}`, queue: 'billing' };
    for (const round of ['first', 'second', 'third']) {
      const app = await startApp(options, { controllers: [paying(round)] });
      for (const id of ['1', '2', round]) await publish(linkOf(app), paid(id, id));
      await settle(linkOf(app));
      await app.app.close();
    }
    expect(handled.items).toEqual([
      ['first', '1'],
      ['first', '2'],
      ['first', 'first'],
      ['second', 'second'],
      ['third', 'third'],
    ]);
  });

  it('goes on when the disk is nearly full, each message once', async () => {
    const clock = new ManualClock();
    let free = 1000;
    const fileSystem: FileSystem = { ...nodeFileSystem, freeBytes: async () => free };
    const broker = { clock, fileSystem, diskFreeBytesMin: 100, settlementDelayMs: 0 };
    const options = { url: `file:${directory.path}`, queue: 'billing', broker };
    const running = gate();
    doing = () => running.promise;
    const app = await startApp(options, { controllers: [paying('a')] });
    await publish(linkOf(app), paid('1', 'x'));
    free = 99;
    await publish(linkOf(app), paid('2', 'y'));
    while (linkOf(app).blocked === undefined) await new Promise(setImmediate);
    running.open();
    await handled.until(2);
    await settle(linkOf(app));
    expect(handled.items).toHaveLength(2);
    expect(await linkOf(app).queueState('billing')).toMatchObject({ ready: 0, unsettled: 0 });
    await app.app.close();
  });
});
