import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { TestBroker } from '@nestmq/testing';
import { OrderingKey, QueueContext, type QueueOptions, Retry, RetryLaterException } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp, temporaryDirectory } from '../app.js';
import { type Deferred, deferred, emitAll, linkOf, pass, settled } from './support.js';

interface Step {
  readonly account: string;
  readonly n: number;
}

/** `account n attempt` of each call. */
const seen = new Collector<string>();
let fails: (step: Step, attempt: number) => boolean;
let ends: Deferred[];
let isHeld: boolean;

@Controller()
class Accounts {
  @EventPattern<string>('account.step')
  @OrderingKey('account')
  @Retry({ attempts: 4, delay: '10s', backoff: 'fixed', jitter: 0 })
  async step(@Payload() step: Step, @Ctx() { attempt }: QueueContext): Promise<void> {
    seen.add(`${step.account} ${step.n} ${attempt}`);
    if (isHeld) {
      ends.push(deferred());
      await ends.at(-1)?.promise;
    }
    if (fails(step, attempt)) throw new Error('not now');
  }

  @MessagePattern<string>('account.ask')
  @OrderingKey('account')
  ask(@Payload() step: Step, @Ctx() { attempt }: QueueContext): string {
    seen.add(`${step.account} ${step.n} ${attempt}`);
    if (fails(step, attempt)) throw new RetryLaterException('5s');
    return `${step.n} in ${attempt}`;
  }
}

let apps: StartedApp[];
async function start(options: QueueOptions): Promise<StartedApp> {
  const started = await startApp({ queue: 'accounts', ...options }, { controllers: [Accounts] });
  apps.push(started);
  return started;
}

beforeEach(() => {
  seen.items.length = 0;
  fails = () => false;
  ends = [];
  isHeld = false;
  apps = [];
});
afterEach(async () => {
  for (const { resolve } of ends) resolve();
  for (const { app } of apps) await app.close();
});

describe('an order by key', () => {
  it('holds through retries, while other keys go on', async () => {
    const clock = new ManualClock();
    fails = ({ account, n }, attempt) => account === 'a' && n === 1 && attempt < 3;
    const app = await start({ url: 'memory:order-retries', broker: { clock } });
    await emitAll(app, 'account.step', [
      { account: 'a', n: 1 },
      { account: 'a', n: 2 },
      { account: 'b', n: 3 },
      { account: 'a', n: 4 },
    ]);
    await settled();
    expect(seen.items).toEqual(['a 1 1', 'b 3 1']);
    await pass(clock, 20_000, 5000);
    expect(seen.items).toEqual(['a 1 1', 'b 3 1', 'a 1 2', 'a 1 3', 'a 2 1', 'a 4 1']);
    expect(await linkOf(app).queueState('accounts')).toMatchObject({ ready: 0, unsettled: 0 });
  });

  it('dead-letters a message after its last attempt, and goes on with the next of its key', async () => {
    const clock = new ManualClock();
    fails = ({ n }) => n === 1;
    const app = await start({ url: 'memory:order-dead', broker: { clock } });
    await emitAll(
      app,
      'account.step',
      [1, 2].map((n) => ({ account: 'a', n })),
    );
    await settled();
    await pass(clock, 30_000, 10_000);
    expect(seen.items).toEqual(['a 1 1', 'a 1 2', 'a 1 3', 'a 1 4', 'a 2 1']);
    const [letter] = await linkOf(app).peek('accounts.dead', 1);
    expect(letter?.properties.headers).toMatchObject({
      'x-nestmq-attempts': 4,
      'x-nestmq-error-message': 'not now',
    });
  });

  it('holds for requests, which a handler may want to try again', async () => {
    const clock = new ManualClock();
    fails = ({ n }, attempt) => n === 1 && attempt === 1;
    const { client } = await start({ url: 'memory:order-requests', broker: { clock } });
    const answers = [1, 2].map((n) =>
      firstValueFrom(client.send<string>('account.ask', { account: 'a', n })),
    );
    await settled();
    expect(seen.items).toEqual(['a 1 1']);
    await pass(clock, 5000);
    expect(await Promise.all(answers)).toEqual(['1 in 2', '2 in 1']);
  });

  it('dead-letters a message whose key is no key, and stays well', async () => {
    const app = await start({ url: 'memory:order-no-key' });
    await emitAll(app, 'account.step', [
      { account: {}, n: 1 },
      { account: 'a', n: 2 },
    ]);
    expect(await seen.until(1)).toEqual(['a 2 1']);
    const [letter] = await linkOf(app).peek('accounts.dead', 1);
    expect(letter?.properties.headers).toMatchObject({
      'x-nestmq-reason': 'unrecoverable',
      'x-nestmq-error-message': expect.stringContaining('ordering key'),
    });
  });

  it('goes over to the next instance only when what runs has ended', async () => {
    const broker = await TestBroker.start();
    isHeld = true;
    // So that the third is not delivered yet when the first instance stops.
    const options = { url: broker.url, prefetchCount: 2 };
    const first = await start(options);
    const second = await start(options);
    await emitAll(
      first,
      'account.step',
      [1, 2, 3].map((n) => ({ account: 'a', n })),
    );
    await seen.until(1);
    const closed = first.app.close();
    await settled();
    expect(seen.items).toEqual(['a 1 1']);
    isHeld = false;
    ends[0]?.resolve();
    await closed;
    expect(await seen.until(3)).toEqual(['a 1 1', 'a 2 1', 'a 3 1']);
    await second.app.close();
    expect(broker.messageCount('accounts')).toBe(0);
    await broker.stop();
  });

  it('is no reason to wait longer than the grace period', async () => {
    const broker = await TestBroker.start();
    isHeld = true;
    const { app, client } = await start({ url: broker.url, gracePeriod: 1 });
    for (const n of [1, 2, 3]) client.emit('account.step', { account: 'a', n });
    await seen.until(1);
    await app.close();
    expect(seen.items).toEqual(['a 1 1']);
    expect(broker.messageCount('accounts')).toBe(3);
    const letters = await broker.take('accounts', 3);
    expect(letters.map(({ data }) => (data as Step).n)).toEqual([1, 2, 3]);
    await broker.stop();
  });

  it('holds over a restart in the middle of retries, on the disk', async () => {
    const directory = temporaryDirectory();
    const clock = new ManualClock();
    const options = { url: `file:${directory.path}/mq`, broker: { clock } };
    fails = ({ n }) => n === 1;
    const steps = [1, 2, 3, 4].map((n) => ({ account: n === 3 ? 'b' : 'a', n }));
    const first = await start(options);
    await emitAll(first, 'account.step', steps);
    await settled();
    await pass(clock, 10_000);
    expect(seen.items).toEqual(['a 1 1', 'b 3 1', 'a 1 2']);
    // In the middle of the wait for the third.
    await pass(clock, 5000);
    await first.app.close();
    seen.items.length = 0;
    fails = ({ n }, attempt) => n === 1 && attempt === 1;
    await start(options);
    await seen.until(1);
    await settled();
    expect(seen.items).toEqual(['a 1 1']);
    await pass(clock, 10_000);
    expect(await seen.until(4)).toEqual(['a 1 1', 'a 1 2', 'a 2 1', 'a 4 1']);
    await apps[1]?.app.close();
    directory.remove();
  });
});
