import { LIMITS } from '../../limits.js';
import type { Message } from '../../message/message.js';
import { bodiesAt, durable, persistent, transient } from './contract-support.js';
import type { StoreContract } from './store-contract.js';

/** What holds from an opening to the next close, on a disk or not. */
export function keepingContract({ it, expect, opened }: StoreContract): void {
  it('gives each message a sequence that grows and a position where it is found, until it is settled', async () => {
    const store = await opened();
    const appended = ['a', 'b', 'c'].map((body) => store.publish(persistent(body), [1], 0));
    const sequences = appended.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(new Set(sequences).size).toBe(3);
    await durable(store);
    expect(
      await bodiesAt(
        store,
        appended.map(({ position }) => position),
      ),
    ).toEqual(['a', 'b', 'c']);
    expect(await bodiesAt(store, appended.map(({ position }) => position).toReversed())).toEqual([
      'c',
      'b',
      'a',
    ]);
  });

  it('keeps a message until each of its queues has settled it, durable or not', async () => {
    const store = await opened();
    const { sequence, position, transientPosition } = store.publish(persistent('shared'), [1, 2], 1);
    store.settle(1, sequence, position);
    await durable(store);
    expect(await bodiesAt(store, [position, transientPosition])).toEqual(['shared', 'shared']);
    store.settle(3, sequence, transientPosition);
    expect(await bodiesAt(store, [position])).toEqual(['shared']);
    store.settle(2, sequence, position);
    await durable(store);
  });

  for (const [what, mark] of [
    ['a time that is no whole number', { expiresAt: 1.5, readyAt: 0, priority: 0 }],
    ['a time before 1970', { expiresAt: 0, readyAt: -1, priority: 0 }],
    ['a time that no record can hold', { expiresAt: 2 ** 53, readyAt: 0, priority: 0 }],
    ['a priority above 255', { expiresAt: 0, readyAt: 0, priority: 256 }],
  ] as const)
    it(`refuses a mark with ${what}, and changes nothing`, async () => {
      const store = await opened();
      const before = store.publish(persistent('before'), [1], 0, [undefined]);
      const refused = {
        code: 'INVALID_MESSAGE',
        message: expect.stringMatching(/^The mark \{.*\} can't be stored/),
      };
      const message = persistent('refused');
      const attempts = [
        () => store.publish(message, [1, 2], 0, [undefined, mark]),
        () => store.move({ queueId: 1, ...before, message: persistent('before') }, message, [2], 0, [mark]),
        () => store.transact([{ message, journaledQueueIds: [1], otherQueues: 0, marks: [mark] }], []),
      ];
      for (const attempt of attempts) expect(attempt).toThrow(expect.objectContaining(refused));
      expect(store.publish(persistent('after'), [1], 0).sequence).toBe(before.sequence + 1);
      expect(await bodiesAt(store, [before.position])).toEqual(['before']);
    });

  it('takes transient messages and transient queues', async () => {
    const store = await opened();
    const one = store.publish(transient('transient message'), [1], 0);
    const two = store.publish(persistent('transient queue'), [], 1);
    expect(await bodiesAt(store, [one.position, two.position])).toEqual([
      'transient message',
      'transient queue',
    ]);
    expect(store.peek(one.position)?.body.toString()).toBe('transient message');
    store.settle(1, one.sequence, one.position);
    expect(store.peek(one.position)).toBeUndefined();
  });

  it('keeps properties, keys and bodies byte by byte', async () => {
    const store = await opened();
    const message: Message = {
      exchange: 'exchänge',
      routingKey: 'a.🙂',
      properties: {
        deliveryMode: 2,
        messageId: 'id',
        headers: { list: [1, 'two', null], at: new Date(1_700_000_000_000) },
      },
      body: Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    };
    const { position } = store.publish(message, [1], 0);
    const empty = store.publish({ ...message, body: Buffer.alloc(0) }, [1], 0);
    await durable(store);
    const [read, readEmpty] = await store.read([position, empty.position]);
    expect(read).toMatchObject(message);
    expect(readEmpty?.body.length).toBe(0);
  });

  for (const [what, message, durableQueue] of [
    ['from a durable queue to a durable queue', persistent('moved'), true],
    ['of a transient message', transient('moved'), true],
    ['from a transient queue', persistent('moved'), false],
  ] as const)
    it(`moves a message under a new envelope, with its body: ${what}`, async () => {
      const store = await opened();
      const from = store.publish(message, durableQueue ? [1] : [], durableQueue ? 0 : 1);
      const dead = { ...message, routingKey: 'dead' };
      const moved = store.move({ queueId: 1, ...from, message }, dead, [2], 0);
      expect(moved.sequence).toBeGreaterThan(from.sequence);
      const again = store.move(
        { queueId: 2, ...moved, message: dead },
        { ...message, routingKey: 'again' },
        [3],
        1,
      );
      await durable(store);
      const [read] = await store.read([again.position]);
      expect([read?.routingKey, read?.body.toString()]).toEqual(['again', 'moved']);
    });

  it('discards what is in a queue, but what is kept, in one step', async () => {
    const store = await opened();
    const [a, b, c] = ['a', 'b', 'c'].map((body) => store.publish(persistent(body), [1], 0));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three were published');
    store.discard(1, c.sequence, [b.sequence], [a.position, c.position]);
    await durable(store);
    expect(await bodiesAt(store, [b.position])).toEqual(['b']);
    const { position } = store.publish(persistent('later'), [1], 0);
    expect(await bodiesAt(store, [position])).toEqual(['later']);
  });

  it('publishes and settles in a transaction, each message with a sequence of its own, in order', async () => {
    const store = await opened();
    const before = store.publish(persistent('before'), [1], 0);
    const to = (
      message: Message,
    ): { message: Message; journaledQueueIds: number[]; otherQueues: number } => ({
      message,
      journaledQueueIds: [1, 2],
      otherQueues: 1,
    });
    const appended = store.transact(
      [to(persistent('first')), to(transient('second')), to(persistent('third'))],
      [{ queueId: 1, ...before }],
    );
    expect(appended.map(({ sequence }) => sequence - before.sequence)).toEqual([1, 2, 3]);
    await durable(store);
    const positions = appended.flatMap(({ position, transientPosition }) => [position, transientPosition]);
    expect(await bodiesAt(store, positions)).toEqual([
      'first',
      'first',
      'second',
      'second',
      'third',
      'third',
    ]);
    expect(store.transact([], [])).toEqual([]);
  });

  it('refuses a transaction with a message that it can not store, and nothing has changed', async () => {
    const store = await opened();
    const one = store.publish(persistent('one'), [1], 0);
    const publication = (message: Message) => ({ message, journaledQueueIds: [1], otherQueues: 0 });
    const tooLarge = { ...persistent(''), body: Buffer.alloc(LIMITS.bodyBytesMax + 1) };
    expect(() =>
      store.transact([publication(persistent('two')), publication(tooLarge)], [{ queueId: 1, ...one }]),
    ).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }));
    expect(await bodiesAt(store, [one.position])).toEqual(['one']);
    expect(store.publish(persistent('two'), [1], 0).sequence).toBe(one.sequence + 1);
  });

  it('calls back when durable, in order, also when there is nothing to wait for', async () => {
    const store = await opened();
    await durable(store);
    const order: number[] = [];
    store.publish(persistent('1'), [1], 0);
    const first = new Promise<void>((resolve) => {
      store.whenDurable(() => resolve(void order.push(1)));
    });
    store.publish(persistent('2'), [1], 0);
    const second = new Promise<void>((resolve) => {
      store.whenDurable(() => resolve(void order.push(2)));
    });
    // Never at once: who asks has not finished his own step yet.
    expect(order).toEqual([]);
    await Promise.all([first, second]);
    expect(order).toEqual([1, 2]);
  });

  it('refuses what is too large, and nothing has changed', async () => {
    const store = await opened();
    const tooLarge = { ...persistent(''), body: Buffer.alloc(LIMITS.bodyBytesMax + 1) };
    expect(() => store.publish(tooLarge, [1], 0)).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    );
    const queues = Array.from({ length: LIMITS.queuesPerMessageMax + 1 }, (_, i) => i);
    expect(() => store.publish(persistent(''), queues, 0)).toThrow(
      expect.objectContaining({ code: 'INVALID_MESSAGE' }),
    );
    expect(() => store.publish(persistent(''), [1], LIMITS.queuesPerMessageMax)).toThrow(
      'is routed to 16385 queues',
    );
    const { position } = store.publish(persistent('after'), [1], 0);
    await durable(store);
    expect(await bodiesAt(store, [position])).toEqual(['after']);
  });

  it('can be closed twice', async () => {
    const store = await opened();
    await store.close();
    await store.close();
  });
}
