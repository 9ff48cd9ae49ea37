import { expect, it } from '@jest/globals';
import { type Link, QueueAdmin, RetryLaterException, UnrecoverableException } from '@nestmq/transport';
import { take } from '../homes.js';
import { type FeatureFixture, SOON, until } from './feature-fixture.js';

export function failuresFeatures(on: FeatureFixture): void {
  it('retry: after a delay, up to the attempts, then dead-lettered with the error', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event(
        'fails',
        (_data, { attempt }) => {
          on.seen.add(`attempt ${attempt}`);
          throw new RangeError('no such order');
        },
        { retry: { ...SOON, attempts: 3 } },
      ),
    ]);
    await on.emit(app, 'fails', { id: 7 });
    const [letter] = await take(app.server, `${on.id}.dead`, 1);
    expect(on.seen.items).toEqual(['attempt 1', 'attempt 2', 'attempt 3']);
    expect(letter?.data).toEqual({ id: 7 });
    expect(letter?.headers).toMatchObject({
      'x-nestmq-error-name': 'RangeError',
      'x-nestmq-error-message': 'no such order',
      'x-nestmq-attempts': 3,
      'x-nestmq-queue': on.id,
      'x-nestmq-routing-key': `${on.id}.fails`,
    });
  });

  it('retry: two handlers of one event settle on their own', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event('both', on.saying('good')),
      on.event(
        'both',
        (_data, { attempt }) => {
          on.seen.add(`bad ${attempt}`);
          throw new Error('bad');
        },
        { retry: { ...SOON, attempts: 2 } },
      ),
    ]);
    await on.emit(app, 'both', 1);
    await take(app.server, `${on.id}.dead`, 1);
    expect(on.seen.items.toSorted()).toEqual(['bad 1', 'bad 2', 'good 1 1']);
  });

  it('retry: a handler steers it, by exceptions and by its context', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event('later', (_data, { attempt }) => {
        on.seen.add(`later ${attempt}`);
        if (attempt === 1) throw new RetryLaterException(20);
      }),
      on.event('never', () => {
        throw new UnrecoverableException('broken for good');
      }),
      on.event('byHand', (_data, context) => {
        on.seen.add(`by hand ${context.attempt}`);
        if (context.attempt === 1) context.retry(20);
        else context.deadLetter('given up');
      }),
    ]);
    await on.emit(app, 'later', 1);
    await on.emit(app, 'never', 2);
    await on.emit(app, 'byHand', 3);
    const letters = await take(app.server, `${on.id}.dead`, 2);
    await on.seen.until(4);
    expect(on.seen.items.toSorted()).toEqual(['by hand 1', 'by hand 2', 'later 1', 'later 2']);
    expect(letters.map(({ headers }) => headers['x-nestmq-error-message']).toSorted()).toEqual([
      'broken for good',
      'given up',
    ]);
  });

  it('timeoutMs: a handler that takes longer has failed, and is told', async () => {
    if (on.home === undefined) return;
    const app = await on.service([
      on.event(
        'slow',
        async (_data, { signal }) =>
          new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => {
              on.seen.add('aborted');
              resolve();
            });
          }),
        { timeoutMs: 50, retry: { attempts: 1 } },
      ),
    ]);
    await on.emit(app, 'slow', 1);
    const [letter] = await take(app.server, `${on.id}.dead`, 1);
    expect(letter?.headers['x-nestmq-error-name']).toBe('HandlerTimeoutException');
    expect(await on.seen.until(1)).toEqual(['aborted']);
  });

  it('nothing is dropped: what nobody handles or can read is dead-lettered', async () => {
    if (on.home === undefined) return;
    const app = await on.service([on.event('known', on.saying('known'))]);
    const link = app.server.unwrap<Link>();
    await link.bindQueue(on.id, 'nestmq.events', `${on.id}.unknown`);
    await on.emit(app, 'unknown', 1);
    link.publish(
      {
        exchange: 'nestmq.events',
        routingKey: `${on.id}.known`,
        properties: { deliveryMode: 2 },
        body: Buffer.from('"{"'),
      },
      () => {},
    );
    link.publish(
      {
        exchange: 'nestmq.events',
        routingKey: `${on.id}.known`,
        properties: { deliveryMode: 2, contentType: 'application/octet-stream', contentEncoding: 'gzip' },
        body: Buffer.from('"no gzip"'),
      },
      () => {},
    );
    const admin = app.app.get(QueueAdmin);
    const reasons = async (): Promise<string[]> =>
      (await admin.deadLetters(on.id).list()).map(({ reason }) => reason).toSorted();
    expect(await on.seen.until(1)).toEqual(['known { 1']);
    await until(async () => (await reasons()).length === 2);
    expect(await reasons()).toEqual(['no-handler', 'unreadable']);
  });
}
