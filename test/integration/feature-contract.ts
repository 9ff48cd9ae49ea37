import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import {
  type HandlerOptions,
  type Link,
  NoHandlerException,
  QueueAdmin,
  type QueueBatchContext,
  type QueueContext,
  QueueHealthIndicator,
  type QueueOptions,
  QueueRecordBuilder,
  QueueTimeoutException,
  RetryLaterException,
  UnrecoverableException,
} from '@nestmq/transport';
import { defer, firstValueFrom, lastValueFrom, of, toArray } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';
import { take } from './homes.js';

/** Where the features are shown. `options` lead to the broker; `close` is called when everything on it is closed. */
export interface FeatureHome {
  readonly options: QueueOptions;
  close(): Promise<void>;
}

type Handle = (data: never, context: QueueContext) => unknown;

/** No waiting for its own sake: a failed attempt is repeated soon. */
const SOON = { delay: 50, jitter: 0, backoff: 'fixed' } as const;

/**
 * What an application may rely on, whatever its URL: every test runs on each home, with queues and patterns of its own.
 * `start` resolves with undefined where the home can't be had, after a line that says so.
 */
export function featureContract(home: string, start: () => Promise<FeatureHome | undefined>): void {
  describe(`the features of the transport on ${home}`, () => {
    let found: FeatureHome | undefined;
    let id: string;
    let apps: StartedApp[];
    let seen: Collector<string>;

    beforeAll(async () => {
      found = await start();
    }, 180_000);
    afterAll(async () => found?.close());
    beforeEach(() => {
      id = `f${randomUUID().slice(0, 8)}`;
      apps = [];
      seen = new Collector();
    });
    afterEach(async () => {
      for (const { app } of apps) await app.close();
    });

    /** A controller with one handler of an event; `pattern` is behind the prefix of the test. */
    function event(pattern: string, handle: Handle, options: HandlerOptions = {}): Type<unknown> {
      @Controller()
      class Handler {
        @EventPattern<string>(`${id}.${pattern}`, { retry: SOON, ...options })
        handle(@Payload() data: never, @Ctx() context: QueueContext): unknown {
          return handle(data, context);
        }
      }
      return Handler;
    }

    function request(pattern: string, handle: Handle): Type<unknown> {
      @Controller()
      class Handler {
        @MessagePattern<string>(`${id}.${pattern}`)
        handle(@Payload() data: never, @Ctx() context: QueueContext): unknown {
          return handle(data, context);
        }
      }
      return Handler;
    }

    async function service(
      controllers: Type<unknown>[],
      options: Partial<QueueOptions> = {},
    ): Promise<StartedApp> {
      const started = await startApp(
        { ...(found as FeatureHome).options, queue: id, ...options },
        { controllers },
      );
      apps.push(started);
      return started;
    }

    const emit = ({ client }: StartedApp, pattern: string, data: unknown): Promise<unknown> =>
      lastValueFrom(client.emit(`${id}.${pattern}`, data), { defaultValue: undefined });
    const ask = ({ client }: StartedApp, pattern: string, data: unknown): Promise<unknown> =>
      firstValueFrom(client.send(`${id}.${pattern}`, data));
    const saying =
      (what: string): Handle =>
      (data, { attempt }) =>
        seen.add(`${what} ${String(data)} ${attempt}`);

    // ---------------------------------------------------------------- routing

    it('emit: an event reaches its handler, with what it was sent with', async () => {
      if (found === undefined) return;
      const app = await service([
        event('order.placed', (data, context) =>
          seen.add(
            JSON.stringify([data, context.pattern, context.messageId.length > 0, context.redelivered]),
          ),
        ),
      ]);
      await emit(app, 'order.placed', { n: 1 });
      expect(await seen.until(1)).toEqual([JSON.stringify([{ n: 1 }, `${id}.order.placed`, true, false])]);
    });

    it('patterns: wildcards in any place', async () => {
      if (found === undefined) return;
      const app = await service([event('*.placed', saying('star')), event('#.eu', saying('hash'))]);
      await emit(app, 'order.placed', 1);
      await emit(app, 'a.b.eu', 2);
      expect((await seen.until(2)).toSorted()).toEqual(['hash 2 1', 'star 1 1']);
    });

    it('topology: one instance of each service gets an event', async () => {
      if (found === undefined) return;
      const [first] = [
        await service([event('e', saying('a'))]),
        await service([event('e', saying('a'))]),
        await service([event('e', saying('b'))], { queue: `${id}-b` }),
      ];
      await emit(first, 'e', 1);
      expect((await seen.until(2)).toSorted()).toEqual(['a 1 1', 'b 1 1']);
    });

    it('send: the answer, a stream of answers, an error with its fields', async () => {
      if (found === undefined) return;
      const app = await service([
        request('double', (n: number) => n * 2),
        request('count', () => of(1, 2, 3)),
        request('refuse', () => {
          throw new RpcException({ code: 'NO_FUNDS', message: 'not enough' });
        }),
      ]);
      expect(await ask(app, 'double', 21)).toBe(42);
      expect(await firstValueFrom(app.client.send(`${id}.count`, 0).pipe(toArray()))).toEqual([1, 2, 3]);
      await expect(ask(app, 'refuse', 1)).rejects.toMatchObject({ code: 'NO_FUNDS', message: 'not enough' });
    });

    it('send: to nobody fails at once, and nobody waits for ever', async () => {
      if (found === undefined) return;
      const app = await service([request('never', () => new Promise(() => {}))], { gracePeriod: 0 });
      await expect(ask(app, 'nobody', 1)).rejects.toThrow(NoHandlerException);
      const record = new QueueRecordBuilder(1).setTimeout(100).build();
      await expect(ask(app, 'never', record)).rejects.toThrow(QueueTimeoutException);
    });

    it('send: what nobody has got in its time is neither handled later nor a dead letter', async () => {
      if (found === undefined) return;
      const app = await service([
        request('late', (data) => {
          seen.add(String(data));
          return 'answered';
        }),
        event('fails', () => {
          throw new UnrecoverableException('no use');
        }),
      ]);
      const admin = app.app.get(QueueAdmin);
      admin.pause(id);
      const record = new QueueRecordBuilder('nobody waits').setTimeout(200).build();
      await expect(ask(app, 'late', record)).rejects.toThrow(QueueTimeoutException);
      await until(async () => (await admin.depth(id)).ready === 0);
      const waiting = ask(app, 'late', new QueueRecordBuilder('for ever').setTimeout(0).build());
      await emit(app, 'fails', 1);
      await admin.resume(id);
      expect(await waiting).toBe('answered');
      expect((await take(app.server, `${id}.dead`, 1)).map(({ data }) => data)).toEqual([1]);
      expect(await app.server.unwrap<Link>().queueState(`${id}.dead`)).toMatchObject({ ready: 0 });
      expect(seen.items).toEqual(['for ever']);
    });

    // ---------------------------------------------------------------- failures

    it('retry: after a delay, up to the attempts, then dead-lettered with the error', async () => {
      if (found === undefined) return;
      const app = await service([
        event(
          'fails',
          (_data, { attempt }) => {
            seen.add(`attempt ${attempt}`);
            throw new RangeError('no such order');
          },
          { retry: { ...SOON, attempts: 3 } },
        ),
      ]);
      await emit(app, 'fails', { id: 7 });
      const [letter] = await take(app.server, `${id}.dead`, 1);
      expect(seen.items).toEqual(['attempt 1', 'attempt 2', 'attempt 3']);
      expect(letter?.data).toEqual({ id: 7 });
      expect(letter?.headers).toMatchObject({
        'x-nestmq-error-name': 'RangeError',
        'x-nestmq-error-message': 'no such order',
        'x-nestmq-attempts': 3,
        'x-nestmq-queue': id,
        'x-nestmq-routing-key': `${id}.fails`,
      });
    });

    it('retry: two handlers of one event settle on their own', async () => {
      if (found === undefined) return;
      const app = await service([
        event('both', saying('good')),
        event(
          'both',
          (_data, { attempt }) => {
            seen.add(`bad ${attempt}`);
            throw new Error('bad');
          },
          { retry: { ...SOON, attempts: 2 } },
        ),
      ]);
      await emit(app, 'both', 1);
      await take(app.server, `${id}.dead`, 1);
      expect(seen.items.toSorted()).toEqual(['bad 1', 'bad 2', 'good 1 1']);
    });

    it('retry: a handler steers it, by exceptions and by its context', async () => {
      if (found === undefined) return;
      const app = await service([
        event('later', (_data, { attempt }) => {
          seen.add(`later ${attempt}`);
          if (attempt === 1) throw new RetryLaterException(20);
        }),
        event('never', () => {
          throw new UnrecoverableException('broken for good');
        }),
        event('byHand', (_data, context) => {
          seen.add(`by hand ${context.attempt}`);
          if (context.attempt === 1) context.retry(20);
          else context.deadLetter('given up');
        }),
      ]);
      await emit(app, 'later', 1);
      await emit(app, 'never', 2);
      await emit(app, 'byHand', 3);
      const letters = await take(app.server, `${id}.dead`, 2);
      await seen.until(4);
      expect(seen.items.toSorted()).toEqual(['by hand 1', 'by hand 2', 'later 1', 'later 2']);
      expect(letters.map(({ headers }) => headers['x-nestmq-error-message']).toSorted()).toEqual([
        'broken for good',
        'given up',
      ]);
    });

    it('timeoutMs: a handler that takes longer has failed, and is told', async () => {
      if (found === undefined) return;
      const app = await service([
        event(
          'slow',
          async (_data, { signal }) =>
            new Promise<void>((resolve) => {
              signal.addEventListener('abort', () => {
                seen.add('aborted');
                resolve();
              });
            }),
          { timeoutMs: 50, retry: { attempts: 1 } },
        ),
      ]);
      await emit(app, 'slow', 1);
      const [letter] = await take(app.server, `${id}.dead`, 1);
      expect(letter?.headers['x-nestmq-error-name']).toBe('HandlerTimeoutException');
      expect(await seen.until(1)).toEqual(['aborted']);
    });

    it('nothing is dropped: what nobody handles or can read is dead-lettered', async () => {
      if (found === undefined) return;
      const app = await service([event('known', saying('known'))]);
      const link = app.server.unwrap<Link>();
      await link.bindQueue(id, 'nestmq.events', `${id}.unknown`);
      await emit(app, 'unknown', 1);
      link.publish(
        {
          exchange: 'nestmq.events',
          routingKey: `${id}.known`,
          properties: { deliveryMode: 2 },
          body: Buffer.from('"{"'),
        },
        () => {},
      );
      link.publish(
        {
          exchange: 'nestmq.events',
          routingKey: `${id}.known`,
          properties: { deliveryMode: 2, contentType: 'application/octet-stream', contentEncoding: 'gzip' },
          body: Buffer.from('"no gzip"'),
        },
        () => {},
      );
      const admin = app.app.get(QueueAdmin);
      const reasons = async (): Promise<string[]> =>
        (await admin.deadLetters(id).list()).map(({ reason }) => reason).toSorted();
      expect(await seen.until(1)).toEqual(['known { 1']);
      await until(async () => (await reasons()).length === 2);
      expect(await reasons()).toEqual(['no-handler', 'unreadable']);
    });

    // ---------------------------------------------------------------- flow

    it('concurrency: so many run at once, and no more', async () => {
      if (found === undefined) return;
      let running = 0;
      let most = 0;
      const app = await service([
        event(
          'job',
          async (data) => {
            most = Math.max(most, ++running);
            await new Promise((resolve) => setTimeout(resolve, 10));
            running--;
            seen.add(String(data));
          },
          { concurrency: 2 },
        ),
      ]);
      for (let i = 0; i < 10; i++) await emit(app, 'job', i);
      await seen.until(10);
      expect(most).toBe(2);
    });

    it('rateLimit: so many start in a while', async () => {
      if (found === undefined) return;
      const starts: number[] = [];
      const app = await service([
        event(
          'job',
          (data) => {
            starts.push(performance.now());
            seen.add(String(data));
          },
          { rateLimit: { max: 2, per: 200 } },
        ),
      ]);
      for (let i = 0; i < 6; i++) await emit(app, 'job', i);
      await seen.until(6);
      expect((starts[5] as number) - (starts[0] as number)).toBeGreaterThanOrEqual(395);
    });

    it('orderingKey: the order of a key holds through failures, keys side by side', async () => {
      if (found === undefined) return;
      const app = await service([
        event(
          'step',
          ({ key, n }: { key: string; n: number }, { attempt }) => {
            seen.add(`${key}${n}.${attempt}`);
            if (key === 'a' && n === 1 && attempt < 3) throw new Error('not yet');
          },
          { queue: `${id}-ordered`, orderingKey: 'key' },
        ),
      ]);
      for (const step of ['a1', 'b1', 'a2', 'b2', 'a3'])
        await emit(app, 'step', { key: step.at(0), n: Number(step.at(1)) });
      const all = await seen.until(7);
      expect(all.filter((one) => one.startsWith('a'))).toEqual(['a1.1', 'a1.2', 'a1.3', 'a2.1', 'a3.1']);
      expect(all.filter((one) => one.startsWith('b'))).toEqual(['b1.1', 'b2.1']);
    });

    it('batch: a list at a time, of which some may fail', async () => {
      if (found === undefined) return;
      const app = await service([
        event(
          'item',
          (data: unknown, context) => {
            const { contexts } = context as unknown as QueueBatchContext;
            seen.add(`${String(data)} (${contexts.length})`);
          },
          { queue: `${id}-batch`, batch: { size: 3, timeoutMs: 200 } },
        ),
      ]);
      for (let i = 1; i <= 5; i++) await emit(app, 'item', i);
      expect(await seen.until(2)).toEqual(['1,2,3 (3)', '4,5 (2)']);
    });

    it('priority: what is more urgent comes first', async () => {
      if (found === undefined) return;
      const app = await service([
        event('job', saying('job'), { queue: `${id}-urgent`, priority: 5, prefetchCount: 1 }),
      ]);
      const admin = app.app.get(QueueAdmin);
      admin.pause(`${id}-urgent`);
      for (const priority of [1, 5, 3])
        await emit(app, 'job', new QueueRecordBuilder(priority).setPriority(priority).build());
      await until(async () => (await admin.depth(`${id}-urgent`)).ready === 3);
      await admin.resume(`${id}-urgent`);
      expect(await seen.until(3)).toEqual(['job 5 1', 'job 3 1', 'job 1 1']);
    });

    it('deduplication: what was handled once is not handled again', async () => {
      if (found === undefined) return;
      const app = await service([event('paid', saying('paid'), { deduplication: true })]);
      const once = new QueueRecordBuilder('p').setDeduplicationId('payment-1').build();
      await emit(app, 'paid', once);
      await seen.until(1);
      await emit(app, 'paid', once);
      await emit(app, 'paid', 'other');
      expect(await seen.until(2)).toEqual(['paid p 1', 'paid other 1']);
    });

    it('schedule: one firing in the whole fleet', async () => {
      if (found === undefined) return;
      const ticking = (): Type<unknown> =>
        event('tick', (_data, { messageId }) => seen.add(messageId), { schedule: '* * * * * *' });
      await service([ticking()]);
      await service([ticking()]);
      const firings = await seen.until(3);
      expect(new Set(firings).size).toBe(3);
    });

    // ---------------------------------------------------------------- messages

    it('records: headers, a delay, a time', async () => {
      if (found === undefined) return;
      const app = await service([
        event('due', (data, { headers }) => seen.add(`${String(data)} ${JSON.stringify(headers['tenant'])}`)),
      ]);
      const record = (data: string) => new QueueRecordBuilder(data).setHeader('tenant', 'acme');
      const began = Date.now();
      await emit(app, 'due', record('late').setDelay(2500).build());
      await emit(
        app,
        'due',
        record('soon')
          .setScheduleAt(began + 1500)
          .build(),
      );
      await emit(app, 'due', record('now').build());
      expect(await seen.until(3)).toEqual(['now "acme"', 'soon "acme"', 'late "acme"']);
      expect(Date.now() - began).toBeGreaterThanOrEqual(2490);
    });

    it('bodies: bytes as they are, large ones compressed', async () => {
      if (found === undefined) return;
      const app = await service(
        [
          event('bytes', (data: Buffer) => seen.add(data.toString('hex'))),
          event('text', (data: string, context) =>
            seen.add(`${data.length} ${context.getMessage().properties.contentEncoding}`),
          ),
        ],
        { compression: { encoding: 'gzip', threshold: 1000 } },
      );
      await emit(app, 'bytes', Buffer.from('00ff', 'hex'));
      await emit(app, 'text', 'x'.repeat(100_000));
      expect((await seen.until(2)).toSorted()).toEqual(['00ff', '100000 gzip']);
    });

    it("packets of Nest's own transport are understood", async () => {
      if (found === undefined) return;
      const app = await service([event('packet', saying('packet'))]);
      const body = Buffer.from(JSON.stringify({ pattern: `${id}.packet`, data: 'nest' }));
      app.server
        .unwrap<Link>()
        .publish({ exchange: '', routingKey: id, properties: { deliveryMode: 2 }, body }, () => {});
      expect(await seen.until(1)).toEqual(['packet nest 1']);
    });

    // ---------------------------------------------------------------- operating

    it('admin: depth, peek, pause and resume, redrive', async () => {
      if (found === undefined) return;
      let fails = true;
      const app = await service([
        event(
          'job',
          (data) => {
            if (fails) throw new Error('the bank is closed');
            seen.add(String(data));
          },
          { retry: { attempts: 1 } },
        ),
      ]);
      const admin = app.app.get(QueueAdmin);
      await emit(app, 'job', 1);
      await until(async () => (await admin.deadLetters(id).list()).length === 1);
      const [letter] = await admin.deadLetters(id).list();
      expect(letter).toMatchObject({ data: 1, reason: 'attempts', error: { message: 'the bank is closed' } });
      fails = false;
      admin.pause(id);
      expect(await admin.deadLetters(id).redrive()).toMatchObject({ count: 1 });
      await until(async () => (await admin.depth(id)).ready === 1);
      expect(await admin.peek(id)).toMatchObject([{ data: 1, pattern: `${id}.job`, attempt: 1 }]);
      await admin.resume(id);
      expect(await seen.until(1)).toEqual(['1']);
    });

    it('health: says what is', async () => {
      if (found === undefined) return;
      const app = await service([event('job', saying('job'))]);
      const health = app.app.get(QueueHealthIndicator);
      expect(await health.isHealthy('queue')).toMatchObject({ queue: { status: 'up' } });
      await app.server.unwrap<Link>().deleteQueue(id);
      await until(async () =>
        health.isHealthy('queue').then(
          ({ queue }) => (queue as { status?: string }).status === 'down',
          () => true,
        ),
      );
    });

    it('drain: what runs is awaited, what has not begun is for others', async () => {
      if (found === undefined) return;
      let release = (): void => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const first = await service(
        [
          event('job', async (data) => {
            seen.add(`first began ${String(data)}`);
            await held;
            seen.add(`first ended ${String(data)}`);
          }),
        ],
        { prefetchCount: 2 },
      );
      for (const n of [1, 2, 3, 4]) await emit(first, 'job', n);
      await seen.until(2);
      const closed = first.app.close();
      await lastValueFrom(defer(async () => release()));
      await closed;
      expect(seen.items).toEqual(['first began 1', 'first began 2', 'first ended 1', 'first ended 2']);
      await service([event('job', (data) => seen.add(`second ${String(data)}`))]);
      expect((await seen.until(6)).slice(4).toSorted()).toEqual(['second 3', 'second 4']);
    });
  });
}

/** What a broker tells a little later. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
