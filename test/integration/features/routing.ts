import { expect, it } from '@jest/globals';
import { RpcException } from '@nestjs/microservices';
import {
  type Link,
  NoHandlerException,
  QueueAdmin,
  QueueRecordBuilder,
  QueueTimeoutException,
  UnrecoverableException,
} from '@nestmq/transport';
import { firstValueFrom, of, toArray } from 'rxjs';
import { take } from '../homes.js';
import { type FeatureFixture, until } from './feature-fixture.js';

export function routingFeatures(on: FeatureFixture): void {
  it('emit: an event reaches its handler, with what it was sent with', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event('order.placed', (data, context) =>
        on.seen.add(
          JSON.stringify([data, context.pattern, context.messageId.length > 0, context.redelivered]),
        ),
      ),
    ]);
    await on.emit(app, 'order.placed', { n: 1 });
    expect(await on.seen.until(1)).toEqual([
      JSON.stringify([{ n: 1 }, `${on.id}.order.placed`, true, false]),
    ]);
  });

  it('patterns: wildcards in any place', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event('*.placed', on.saying('star')),
      on.event('#.eu', on.saying('hash')),
    ]);
    await on.emit(app, 'order.placed', 1);
    await on.emit(app, 'a.b.eu', 2);
    expect((await on.seen.until(2)).toSorted()).toEqual(['hash 2 1', 'star 1 1']);
  });

  it('topology: one instance of each service gets an event', async () => {
    if (on.home === undefined) return;
    const [first] = [
      await on.service([on.event('e', on.saying('a'))]),
      await on.service([on.event('e', on.saying('a'))]),
      await on.service([on.event('e', on.saying('b'))], { queue: `${on.id}-b` }),
    ];
    await on.emit(first, 'e', 1);
    expect((await on.seen.until(2)).toSorted()).toEqual(['a 1 1', 'b 1 1']);
  });

  it('send: the answer, a stream of answers, an error with its fields', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.request('double', (n: number) => n * 2),
      on.request('count', () => of(1, 2, 3)),
      on.request('refuse', () => {
        throw new RpcException({ code: 'NO_FUNDS', message: 'not enough' });
      }),
    ]);
    expect(await on.ask(app, 'double', 21)).toBe(42);
    expect(await firstValueFrom(app.client.send(`${on.id}.count`, 0).pipe(toArray()))).toEqual([1, 2, 3]);
    await expect(on.ask(app, 'refuse', 1)).rejects.toMatchObject({ code: 'NO_FUNDS', message: 'not enough' });
  });

  it('send: to nobody fails at once, and nobody waits for ever', async () => {
    if (on.home === undefined) return;
    const app = await on.service([on.request('never', () => new Promise(() => {}))], { gracePeriod: 0 });
    await expect(on.ask(app, 'nobody', 1)).rejects.toThrow(NoHandlerException);
    const record = new QueueRecordBuilder(1).setTimeout(100).build();
    await expect(on.ask(app, 'never', record)).rejects.toThrow(QueueTimeoutException);
  });

  it('send: what nobody has got in its time is neither handled later nor a dead letter', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.request('late', (data) => {
        on.seen.add(String(data));
        return 'answered';
      }),
      on.event('fails', () => {
        throw new UnrecoverableException('no use');
      }),
    ]);
    const admin = app.app.get(QueueAdmin);
    admin.pause(on.id);
    const record = new QueueRecordBuilder('nobody waits').setTimeout(200).build();
    await expect(on.ask(app, 'late', record)).rejects.toThrow(QueueTimeoutException);
    await until(async () => (await admin.depth(on.id)).ready === 0);
    const waiting = on.ask(app, 'late', new QueueRecordBuilder('for ever').setTimeout(0).build());
    await on.emit(app, 'fails', 1);
    await admin.resume(on.id);
    expect(await waiting).toBe('answered');
    expect((await take(app.server, `${on.id}.dead`, 1)).map(({ data }) => data)).toEqual([1]);
    expect(await app.server.unwrap<Link>().queueState(`${on.id}.dead`)).toMatchObject({ ready: 0 });
    expect(on.seen.items).toEqual(['for ever']);
  });
}
