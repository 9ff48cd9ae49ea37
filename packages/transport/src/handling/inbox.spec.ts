import { describe, expect, it } from '@jest/globals';
import { ManualClock, type Message } from '@nestmq/broker';
import type { ConsumeOptions, Link, LinkDelivery } from '../links/link.js';
import { Wire } from '../wire/wire.js';
import { FakeDelivery, handlerOf } from './handling.spec.support.js';
import type { QueueHandlers } from './handler-table.js';
import { Inbox, inboxQueueOf, routingKeyOf } from './inbox.js';
import { DONE, REQUEUE } from './outcome.js';
import { Work } from './work.js';

const handler = handlerOf({ deduplication: true }, 'p@0');

const delivery = (messageId: string): FakeDelivery => new FakeDelivery({}, { properties: { messageId } });

function workOf(of: LinkDelivery): Work {
  const work = new Work(of);
  work.receive({ kind: 'event', pattern: 'p', data: 1, replyFormat: 'nestmq' });
  work.add(handler, 1);
  return work;
}

/** An inbox on a link that does as it is told. */
async function started() {
  const clock = new ManualClock(0);
  const errors: unknown[] = [];
  const remembered: Message[] = [];
  const link = {
    failure: undefined as Error | undefined,
    declareOwnQueue: async () => 'own',
    bindQueue: async () => undefined,
    queueState: async () => ({ ready: 1 }),
    peek: async () => {
      if (link.failure !== undefined) throw link.failure;
      return remembered;
    },
    consume: async (queue: string, { onDelivery }: ConsumeOptions) => {
      if (queue === 'q.inbox') onDelivery(new FakeDelivery());
      return { cancel: () => undefined };
    },
  };
  const inbox = new Inbox({
    queue: 'q',
    queues: [{ queue: 'q', all: [handler] } as unknown as QueueHandlers],
    link: () => link as unknown as Link,
    wire: new Wire(),
    clock,
    logger: {},
    report: (error) => errors.push(error),
    declareQueue: async () => undefined,
  });
  await inbox.start();
  return { inbox, clock, errors, remembered, link };
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
};

describe('Inbox', () => {
  it('knows what was handled though its delivery was lost, and remembers it with the next copy', async () => {
    const { inbox } = await started();
    const lost = workOf(delivery('1'));
    await inbox.admit(lost);
    lost.runs[0]?.settle(DONE);
    // The broker has not heard of it: nothing was settled.
    inbox.entriesFor(lost);
    inbox.release(lost);
    const copy = workOf(delivery('1'));
    await inbox.admit(copy);
    expect(copy.runs[0]?.outcome).toBe(DONE);
    expect(inbox.entriesFor(copy)).toEqual([
      expect.objectContaining({
        routingKey: 'q.inbox.p@0',
        properties: expect.objectContaining({ messageId: '1' }),
      }),
    ]);
  });

  it('lets messages wait after a reconnection until it knows what it has not heard', async () => {
    const { inbox, remembered } = await started();
    inbox.onDisconnected();
    const [known, unknown] = ['1', '2'].map((id) => workOf(delivery(id))) as [Work, Work];
    const admitted = [known, unknown].map(async (work) => inbox.admit(work));
    await turns();
    expect([known.runs[0]?.outcome, inbox.duplicateCount]).toEqual([undefined, 0]);
    const properties = { messageId: '1', headers: { 'x-nestmq-handled-at': 0 } };
    remembered.push({ exchange: '', routingKey: 'q.inbox.p@0', properties, body: Buffer.alloc(0) });
    inbox.onReconnected();
    await Promise.all(admitted);
    expect([known.runs[0]?.outcome, unknown.runs[0]?.outcome]).toEqual([DONE, undefined]);
  });

  it('tries again when it can not be read', async () => {
    const { inbox, clock, errors, link } = await started();
    inbox.onDisconnected();
    const work = workOf(delivery('1'));
    let isAdmitted = false;
    const admitted = Promise.resolve(inbox.admit(work)).then(() => (isAdmitted = true));
    link.failure = new Error('away');
    inbox.onReconnected();
    await turns();
    expect([errors, isAdmitted]).toEqual([[link.failure], false]);
    link.failure = undefined;
    clock.advance(1000);
    await admitted;
  });

  it('gives back what waits when the service ends', async () => {
    const { inbox } = await started();
    const [first, second] = [workOf(delivery('1')), workOf(delivery('1'))];
    await inbox.admit(first);
    const waiting = inbox.admit(second);
    inbox.stop();
    await waiting;
    expect(second.runs[0]?.outcome).toBe(REQUEUE);
  });

  it('keeps messages in order when nothing is to be waited for', async () => {
    const { inbox } = await started();
    expect(inbox.admit(workOf(delivery('1')))).toBeUndefined();
    expect(inbox.admit(workOf(delivery('')))).toBeUndefined();
  });

  it('has a queue for each handler, whose routing key matches itself alone', () => {
    expect(inboxQueueOf('billing', 'paid@0')).toBe('billing.inbox.paid@0');
    expect(routingKeyOf('billing.inbox.*.#@0')).toBe('billing.inbox.%2A.%23@0');
    expect(routingKeyOf('%2A')).not.toBe(routingKeyOf('*'));
    const long = inboxQueueOf('q'.repeat(200), `${'p'.repeat(200)}@0`);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
    expect(long).not.toBe(inboxQueueOf('q'.repeat(200), `${'p'.repeat(200)}@1`));
  });
});
