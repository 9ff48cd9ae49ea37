import {
  durable,
  foundIn,
  type FoundMessage,
  persistent,
  publishAll,
  transient,
} from './contract-support.js';
import type { StoreContract } from './store-contract.js';

/** What is there again at the next opening. */
export function recoveryContract({ itUnless, expect, opened, reopened, kill }: StoreContract): void {
  const it = itUnless('durability');
  const bodiesOf = (found: readonly FoundMessage[]): string[] => found.map(({ body }) => body);

  it('finds again what was not settled: in its order, where it can be read', async () => {
    const appended = publishAll(await opened(), 'a', 'b', 'c');
    const { store, recovered } = await reopened();
    const found = await foundIn(store, recovered, 1);
    expect(bodiesOf(found)).toEqual(['a', 'b', 'c']);
    expect(found.map(({ sequence }) => sequence)).toEqual(appended.map(({ sequence }) => sequence));
    expect(recovered.lacksSnapshot).toBe(false);
  });

  it('does not find again what was settled, in the queue that has settled it', async () => {
    const store = await opened();
    const { sequence, position } = store.publish(persistent('a'), [1, 2], 0);
    publishAll(store, 'b');
    store.settle(1, sequence, position);
    const { store: next, recovered } = await reopened();
    expect(bodiesOf(await foundIn(next, recovered, 1))).toEqual(['b']);
    expect(bodiesOf(await foundIn(next, recovered, 2))).toEqual(['a']);
  });

  it('does not find again what no crash has to survive: transient messages, and what transient queues have', async () => {
    const store = await opened();
    store.publish(transient('a'), [1], 0);
    store.publish(persistent('b'), [], 1);
    store.publish(persistent('c'), [1], 1);
    const { store: next, recovered } = await reopened();
    expect(bodiesOf(await foundIn(next, recovered, 1))).toEqual(['c']);
    expect([...recovered.entries.keys()]).toEqual([1]);
  });

  it('finds again how often a message came back, and its mark, with the time of its last requeue', async () => {
    const store = await opened();
    const mark = { expiresAt: 2_000_000_000_000, readyAt: 0, priority: 7 };
    const { sequence, position } = store.publish(persistent('a'), [1, 2], 0, [mark, undefined]);
    store.requeue(1, sequence, position, 3, 1_900_000_000_000);
    const { store: next, recovered } = await reopened();
    const [[first], [second]] = [await foundIn(next, recovered, 1), await foundIn(next, recovered, 2)];
    expect(first).toMatchObject({ deliveryCount: 3, mark: { ...mark, readyAt: 1_900_000_000_000 } });
    expect(second).toMatchObject({ deliveryCount: 0, mark: { expiresAt: 0, readyAt: 0, priority: 0 } });
  });

  it('finds again what was moved where it was moved to, and there alone', async () => {
    const store = await opened();
    const message = persistent('a');
    const from = store.publish(message, [1], 0);
    store.move({ queueId: 1, ...from, message }, { ...message, routingKey: 'dead' }, [2], 0);
    const { store: next, recovered } = await reopened();
    expect(await foundIn(next, recovered, 1)).toEqual([]);
    const found = await foundIn(next, recovered, 2);
    expect(bodiesOf(found)).toEqual(['a']);
    expect((await next.read(found.map(({ position }) => position)))[0]?.routingKey).toBe('dead');
  });

  it('finds again what was kept when others were discarded', async () => {
    const store = await opened();
    const appended = publishAll(store, 'a', 'b', 'c');
    const [a, b, c] = appended as [(typeof appended)[0], (typeof appended)[0], (typeof appended)[0]];
    store.discard(1, c.sequence, [b.sequence], [a.position, c.position]);
    publishAll(store, 'd');
    const { store: next, recovered } = await reopened();
    expect(bodiesOf(await foundIn(next, recovered, 1))).toEqual(['b', 'd']);
  });

  it('finds again what a transaction has published, and not what it has settled', async () => {
    const store = await opened();
    const before = store.publish(persistent('before'), [1], 0);
    const publication = { message: persistent('after'), journaledQueueIds: [1, 2], otherQueues: 0 };
    store.transact([publication], [{ queueId: 1, ...before }]);
    const { store: next, recovered } = await reopened();
    expect(bodiesOf(await foundIn(next, recovered, 1))).toEqual(['after']);
    expect(bodiesOf(await foundIn(next, recovered, 2))).toEqual(['after']);
  });

  it('goes on with sequences that are higher than those found', async () => {
    const [, last] = publishAll(await opened(), 'a', 'b');
    const { store } = await reopened();
    const [next] = publishAll(store, 'c');
    expect(next?.sequence).toBeGreaterThan(last?.sequence as number);
    const { store: third, recovered } = await reopened();
    expect(bodiesOf(await foundIn(third, recovered, 1))).toEqual(['a', 'b', 'c']);
  });

  it('finds definitions again as they were last, and none that were removed', async () => {
    const store = await opened();
    store.define('queue.a', { durable: true });
    store.define('queue.a', { durable: true, arguments: { 'x-max-length': 3 } });
    store.define('queue.b', [1, null]);
    store.define('queue.b', null);
    const { recovered } = await reopened();
    expect([...recovered.definitions]).toEqual([
      ['queue.a', { durable: true, arguments: { 'x-max-length': 3 } }],
    ]);
  });

  itUnless('killing')('has what it said to be durable when it was killed after that', async () => {
    const store = await opened();
    const [a] = publishAll(store, 'a', 'b');
    store.settle(1, a?.sequence as number, a?.position as number);
    store.define('queue.a', true);
    await durable(store);
    await kill();
    const { store: next, recovered } = await reopened();
    expect(bodiesOf(await foundIn(next, recovered, 1))).toEqual(['b']);
    expect([...recovered.definitions]).toEqual([['queue.a', true]]);
  });
}
