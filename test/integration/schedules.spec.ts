import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import {
  type BrokerLease,
  type HandlerOptions,
  leaseBroker,
  type Link,
  QueueContext,
  type QueueOptions,
  UnrecoverableException,
} from '@nestmq/transport';
import { randomUUID } from 'node:crypto';
import { Collector, type StartedApp, startApp, temporaryDirectory } from './app.js';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 0, 1);

interface Fired {
  readonly scheduledAt: string;
  readonly pattern: string;
}

const fired = new Collector<[instance: string, data: Fired, messageId: string]>();
const times = (): string[] => fired.items.map(([, { scheduledAt }]) => scheduledAt.slice(11, 16));

/** A controller of one instance, whose handler has these options. */
function ticking(instance: string, options: HandlerOptions = { schedule: '* * * * *' }) {
  @Controller()
  class Ticking {
    @EventPattern<string>('tick', options)
    tick(@Payload() data: Fired, @Ctx() context: QueueContext): void {
      fired.add([instance, data, context.messageId]);
    }
  }
  return Ticking;
}

/** Lets everything that is under way come to its end. */
async function settle(link?: Link): Promise<void> {
  for (let turn = 0; turn < 30; turn++) {
    await link?.flush();
    await new Promise(setImmediate);
  }
}

describe('a handler with a schedule', () => {
  let clock: ManualClock;
  let broker: BrokerLease;
  let options: QueueOptions;
  let apps: StartedApp[];

  async function start(controller: ReturnType<typeof ticking>): Promise<StartedApp> {
    const app = await startApp(options, { controllers: [controller] });
    apps.push(app);
    await settle();
    return app;
  }

  async function pass(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute++) {
      clock.advance(MINUTE_MS);
      await settle();
    }
  }

  beforeEach(async () => {
    fired.items.length = 0;
    apps = [];
    clock = new ManualClock(START_MS);
    const memory = randomUUID();
    broker = await leaseBroker({ memory }, { clock });
    options = { url: `memory:${memory}`, queue: 'ticks', broker: { clock } };
  });
  afterEach(async () => {
    await Promise.all(apps.map(({ app }) => app.close()));
    await broker.release();
  });

  it('is called once at each time in a fleet of three', async () => {
    for (const name of ['a', 'b', 'c']) await start(ticking(name));
    await pass(5);
    expect(times()).toEqual(['00:01', '00:02', '00:03', '00:04', '00:05']);
    expect(fired.items[0]?.slice(1)).toEqual([
      { scheduledAt: '2026-01-01T00:01:00.000Z', pattern: 'tick' },
      'schedule:ticks:tick@0:2026-01-01T00:01:00.000Z',
    ]);
    expect(await apps[0]?.server.unwrap<Link>().queueState('ticks')).toMatchObject({
      ready: 0,
      unsettled: 0,
    });
  });

  it('is called by the next instance when the one that keeps the time is closed', async () => {
    const [first] = [await start(ticking('a')), await start(ticking('b'))];
    await pass(1);
    await first.app.close();
    await pass(2);
    expect(times()).toEqual(['00:01', '00:02', '00:03']);
    expect(fired.items.slice(1).map(([instance]) => instance)).toEqual(['b', 'b']);
  });

  it('is called by the next instance while the one that kept the time still waits for a handler to end', async () => {
    const began = new Collector<number>();
    let end!: () => void;
    const ending = new Promise<void>((resolve) => {
      end = resolve;
    });
    @Controller()
    class Slow extends ticking('a') {
      @EventPattern('slow')
      slow(_data: unknown): Promise<void> {
        began.add(1);
        return ending;
      }
    }
    options = { ...options, gracePeriod: '1h' };
    const first = await start(Slow);
    first.client.emit('slow', 1);
    await began.until(1);
    await start(ticking('b'));
    const closed = first.app.close();
    await settle();
    await pass(2);
    expect(times()).toEqual(['00:01', '00:02']);
    end();
    await closed;
  });

  it('is called by the next instance when the one that keeps the time is gone without a word', async () => {
    const [first] = [await start(ticking('a')), await start(ticking('b'))];
    const errors: Error[] = [];
    first.server.on('error', (error) => errors.push(error));
    await pass(1);
    await first.server.unwrap<Link>().close();
    await pass(2);
    expect(times()).toEqual(['00:01', '00:02', '00:03']);
    expect(errors).toEqual([]);
  });

  it.each([
    ['once', ['03:00', '03:01']],
    ['skip', ['03:01']],
  ] as const)('that missed its times, with missed: %s', async (missed, expected) => {
    const controller = ticking('a', { schedule: { cron: '* * * * *', missed } });
    const { server } = await start(controller);
    await settle();
    await server.unwrap<Link>().close();
    clock.advance(180 * MINUTE_MS);
    await settle();
    expect(fired.items).toEqual([]);
    await start(controller);
    await settle();
    await pass(1);
    expect(times()).toEqual(expected);
  });

  it('that was late, since the process stood still, is called once for all that were missed', async () => {
    await start(ticking('a', { schedule: { cron: '* * * * *', missed: 'skip' } }));
    await settle();
    clock.advance(10 * MINUTE_MS);
    await settle();
    expect(times()).toEqual(['00:01', '00:10']);
  });

  it('does not call for times before it was there', async () => {
    clock.advance(30 * MINUTE_MS);
    await start(ticking('a'));
    await settle();
    await pass(1);
    expect(times()).toEqual(['00:31']);
  });

  it('starts afresh when its times are others', async () => {
    const first = await start(ticking('a', { schedule: '0 * * * *' }));
    await settle();
    await first.app.close();
    clock.advance(90 * MINUTE_MS);
    await start(ticking('b', { schedule: '*/20 * * * *' }));
    await settle();
    expect(times()).toEqual([]);
    await pass(10);
    expect(times()).toEqual(['01:40']);
  });

  it('keeps to its times when the clock was wrong for a while', async () => {
    const wrong = new ManualClock(Date.UTC(2027, 5, 1));
    options = { ...options, broker: { clock: wrong } };
    const first = await start(ticking('a'));
    await settle();
    wrong.advance(MINUTE_MS);
    await settle();
    await first.app.close();
    options = { ...options, broker: { clock } };
    await start(ticking('b'));
    await settle();
    await pass(2);
    expect(fired.items.map(([instance, { scheduledAt }]) => [instance, scheduledAt.slice(0, 16)])).toEqual([
      ['a', '2027-06-01T00:01'],
      ['b', '2026-01-01T00:01'],
      ['b', '2026-01-01T00:02'],
    ]);
  });

  it('is the only one to be called, whoever else handles its pattern', async () => {
    const others: unknown[] = [];
    @Controller()
    class Other {
      @EventPattern('tick')
      tick(data: unknown): void {
        others.push(data);
      }
      @EventPattern('#')
      all(data: unknown): void {
        others.push(data);
      }
    }
    apps.push(await startApp(options, { controllers: [Other, ticking('a')] }));
    await settle();
    await pass(1);
    expect(times()).toEqual(['00:01']);
    expect(others).toEqual([]);
  });

  it('is tried again, and dead-lettered, as with any event', async () => {
    const attempts: number[] = [];
    @Controller()
    class Failing {
      @EventPattern<string>('tick', {
        schedule: '0 * * * *',
        retry: { delay: 1000, backoff: 'fixed', jitter: 0 },
      })
      tick(@Payload() _data: Fired, @Ctx() context: QueueContext): void {
        attempts.push(context.attempt);
        if (context.attempt === 2) throw new UnrecoverableException('never');
        throw new Error('not yet');
      }
    }
    apps.push(await startApp(options, { controllers: [Failing] }));
    await settle();
    await pass(62);
    expect(attempts).toEqual([1, 2]);
    const letter = await apps[0]?.server.unwrap<Link>().take('ticks.dead');
    expect(JSON.parse(String(letter?.message.body))).toEqual({
      scheduledAt: '2026-01-01T01:00:00.000Z',
      pattern: 'tick',
    });
  });

  it('does not come twice when there are two tokens, of which one is left', async () => {
    await start(ticking('a'));
    await settle();
    const link = apps[0]?.server.unwrap<Link>() as Link;
    const token = {
      exchange: '',
      routingKey: 'ticks.schedule',
      properties: {},
      body: Buffer.from('{"id":"x"}'),
    };
    for (let count = 0; count < 3; count++) await new Promise<unknown>((done) => link.publish(token, done));
    await settle();
    await pass(2);
    expect(times()).toEqual(['00:01', '00:02']);
    expect(await link.queueState('ticks.schedule')).toMatchObject({ ready: 0, unsettled: 1 });
  });

  it('does not hold up another one when its queue takes nothing', async () => {
    const slow: string[] = [];
    @Controller()
    class Slow {
      @EventPattern<string>('slow', { schedule: '* * * * *', queue: 'slow' })
      slow(@Payload() data: Fired): void {
        slow.push(data.scheduledAt.slice(11, 16));
      }
    }
    const full = { arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' } };
    const before = await startApp({ ...options, queueOptions: full }, { controllers: [Slow] });
    await before.app.close();
    const app = await startApp(options, { controllers: [Slow, ticking('a')] });
    apps.push(app);
    const { server } = app;
    const errors = new Set<string>();
    server.on('error', ({ message }) => errors.add(message));
    await settle();
    await pass(2);
    expect(times()).toEqual(['00:01', '00:02']);
    expect([...errors][0]).toMatch(/00:01:00.000Z for 'slow' can't be put into the queue 'slow'/);
    expect(slow).toEqual([]);
  });

  it.each([
    ['61 * * * *', "'61 * * * *'"],
    [{ cron: '* * * * *', timeZone: 'Mars/Olympus' }, 'Mars/Olympus'],
    [{ cron: '* * * * *', missed: 'twice' }, "missed: 'once' | 'skip'"],
    [{ cron: '* * * * *', timezone: 'UTC' }, "unknown option 'timezone'"],
  ])('is refused at boot when it is %j', async (schedule, said) => {
    const controller = ticking('a', { schedule } as HandlerOptions);
    await expect(startApp(options, { controllers: [controller] })).rejects.toThrow(said);
  });

  it('is refused at boot when its pattern is not one event, or it answers requests', async () => {
    @Controller()
    class Wild {
      @EventPattern('tick.*', { schedule: '* * * * *' })
      tick(_data: unknown): void {
        // Never.
      }
    }
    @Controller()
    class Answering {
      @MessagePattern('tick', { schedule: '* * * * *' })
      tick(): void {
        // Never.
      }
    }
    await expect(startApp(options, { controllers: [Wild] })).rejects.toThrow('wildcards');
    await expect(startApp(options, { controllers: [Answering] })).rejects.toThrow('@EventPattern');
  });
});

describe('a handler with a schedule, on file:', () => {
  it('has what it missed after a restart, once', async () => {
    fired.items.length = 0;
    const directory = temporaryDirectory();
    const clock = new ManualClock(START_MS);
    const options = {
      url: `file:${directory.path}`,
      queue: 'ticks',
      broker: { clock, settlementDelayMs: 0 },
    };
    const controllers = [ticking('a')];
    const first = await startApp(options, { controllers });
    while (fired.items.length === 0) {
      clock.advance(MINUTE_MS);
      await settle(first.server.unwrap<Link>());
    }
    await first.app.close();
    const before = times();
    clock.advance(5 * MINUTE_MS);
    const missed = new Date(clock.now()).toISOString().slice(11, 16);
    const second = await startApp(options, { controllers });
    await fired.until(before.length + 1);
    await second.app.close();
    const third = await startApp(options, { controllers });
    await settle(third.server.unwrap<Link>());
    await third.app.close();
    expect(times()).toEqual([...before, missed]);
    expect(new Set(before).size).toBe(before.length);
    directory.remove();
  });
});
