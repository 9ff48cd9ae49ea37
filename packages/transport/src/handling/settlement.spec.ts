import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import type { HandlerOptions } from '../handler.options.js';
import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';
import { type Progress, progressOf } from './address.js';
import { FakeDelivery, handlerOf, runOf } from './handling.spec.support.js';
import { QueueHandlers } from './handler-table.js';
import { DONE, type Outcome, REQUEUE } from './outcome.js';
import { Settlement } from './settlement.js';
import { Work } from './work.js';

interface Part {
  readonly outcome: Outcome;
  readonly attempt?: number;
  readonly options?: HandlerOptions;
}

/** Settles a message by what its handlers say; they are p@0, p@1 and so on. */
async function settle(
  parts: readonly Part[],
  of: { progress?: Partial<Progress>; delivery?: FakeDelivery } = {},
) {
  const clock = new ManualClock(1000);
  const forwarded: ForwardedMessage[] = [];
  const link = {
    forward: (delivery: LinkDelivery, messages: readonly ForwardedMessage[]) => {
      (delivery as FakeDelivery).settledBy = 'forward';
      forwarded.push(...messages);
      return Promise.resolve();
    },
  } as unknown as Link;
  const { delivery = new FakeDelivery() } = of;
  const work = new Work(delivery, { ...progressOf(delivery.message), ...of.progress });
  work.receive({ kind: 'event', pattern: 'p', data: 1, replyFormat: 'nestmq' });
  for (const [place, { outcome, attempt = 1, options }] of parts.entries())
    runOf(handlerOf(options, `p@${place}`), { work, attempt }).settle(outcome);
  const giveBack = (one: LinkDelivery): void => one.requeue({ failed: false });
  const settlement = new Settlement({ clock, link: () => link, handlers: new QueueHandlers('q'), giveBack });
  await settlement.settle(work);
  const seen = forwarded.map(({ routingKey, delayMs, properties: { headers } }) => ({
    to: routingKey,
    delayMs,
    attempts: headers?.['x-nestmq-attempts-before'],
    handlers: headers?.['x-nestmq-handlers'],
    reason: headers?.['x-nestmq-reason'],
    dueAt: headers?.['x-nestmq-due-at'],
  }));
  return { settledBy: delivery.settledBy, forwarded, seen };
}

const retry = (delayMs: number, counts = true): Outcome => ({
  kind: 'retry',
  delayMs,
  counts,
  error: new Error('x'),
});
const dead: Outcome = { kind: 'dead', reason: 'attempts', error: new RangeError('no') };

describe('a message', () => {
  it('is acked when its handlers are done with it', async () => {
    expect(await settle([{ outcome: DONE }])).toMatchObject({ settledBy: 'ack', seen: [] });
    expect(await settle([{ outcome: DONE }, { outcome: DONE }])).toMatchObject({ settledBy: 'ack' });
  });

  it('goes to the end of its queue for another attempt, when it is time', async () => {
    const { settledBy, seen } = await settle([{ outcome: retry(500), attempt: 2 }]);
    expect(settledBy).toBe('forward');
    expect(seen).toEqual([
      { to: 'q', delayMs: 500, attempts: 2, handlers: undefined, reason: undefined, dueAt: 1500 },
    ]);
  });

  it('uses up no attempt that does not count', async () => {
    const { seen } = await settle([{ outcome: retry(0, false), attempt: 3 }]);
    expect(seen).toMatchObject([{ attempts: 2, delayMs: 0, dueAt: undefined }]);
    expect((await settle([{ outcome: retry(0, false) }])).seen).toMatchObject([{ attempts: undefined }]);
  });

  it('goes to the dead letters with why', async () => {
    const { forwarded } = await settle([{ outcome: dead, attempt: 5 }]);
    expect(forwarded).toMatchObject([
      {
        exchange: '',
        routingKey: 'q.dead',
        properties: {
          messageId: 'm',
          headers: {
            'x-nestmq-reason': 'attempts',
            'x-nestmq-error-name': 'RangeError',
            'x-nestmq-error-message': 'no',
            'x-nestmq-attempts': 5,
            'x-nestmq-queue': 'q',
            'x-nestmq-exchange': 'nestmq.events',
            'x-nestmq-routing-key': 'p',
            'x-nestmq-dead-at': '1970-01-01T00:00:01.000Z',
          },
        },
      },
    ]);
    expect(forwarded[0]?.properties).not.toHaveProperty('expiration');
    expect(forwarded[0]?.properties.headers).not.toHaveProperty('x-nestmq-attempts-before');
  });

  it('is gone when its handler wants no dead letters', async () => {
    const { settledBy, seen } = await settle([{ outcome: dead, options: { deadLetter: false } }]);
    expect([settledBy, seen]).toEqual(['ack', []]);
  });

  it('goes back to its place when no handler has had it', async () => {
    expect(await settle([{ outcome: REQUEUE }])).toMatchObject({ settledBy: 'requeue', seen: [] });
    expect(await settle([{ outcome: REQUEUE }, { outcome: REQUEUE }])).toMatchObject({
      settledBy: 'requeue',
    });
  });

  it('goes each of its ways for the handlers that go it, each with its own error', async () => {
    const { settledBy, seen } = await settle([
      { outcome: DONE },
      { outcome: retry(100) },
      { outcome: retry(900) },
      { outcome: retry(100) },
      { outcome: dead },
      { outcome: dead, options: { deadLetter: 'graveyard' } },
      { outcome: REQUEUE },
    ]);
    expect(settledBy).toBe('forward');
    expect(seen).toMatchObject([
      { to: 'q', delayMs: 100, attempts: 1, handlers: ['p@1', 'p@3'] },
      { to: 'q', delayMs: 900, attempts: 1, handlers: ['p@2'] },
      { to: 'q.dead', reason: 'attempts', handlers: ['p@4'] },
      { to: 'graveyard', reason: 'attempts', handlers: ['p@5'] },
      { to: 'q', delayMs: 0, attempts: undefined, handlers: ['p@6'] },
    ]);
  });

  it('keeps for whom it was when all of those go the same way', async () => {
    const { seen } = await settle([{ outcome: retry(5) }, { outcome: retry(5) }], {
      progress: { handlers: ['p@0', 'p@1'] },
    });
    expect(seen).toMatchObject([{ handlers: ['p@0', 'p@1'] }]);
  });

  it('goes back to its place for a handler with an order, though another may see it twice', async () => {
    const options = { orderingKey: 'key' };
    const { settledBy, seen } = await settle([{ outcome: DONE }, { outcome: REQUEUE, options }]);
    expect([settledBy, seen]).toEqual(['requeue', []]);
  });

  it('is left alone when it is settled already', async () => {
    const delivery = new FakeDelivery();
    delivery.lose();
    expect(await settle([{ outcome: retry(5) }], { delivery })).toMatchObject({
      settledBy: 'lost',
      seen: [],
    });
  });
});
