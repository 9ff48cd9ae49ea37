import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import { deferred, type Deferred, deliveryOf, handlerOf, runOf, settled } from '../handling.spec.support.js';
import { DONE, type Outcome, REQUEUE } from '../outcome.js';
import { Batching, type ExecuteBatch } from './batching.js';
import { ConcurrencyGate } from './concurrency.js';
import type { Gate } from './gate.js';

const handler = handlerOf({ batch: { size: 3 } });

/** A lane whose batches end when they are told to. */
function laneOf(gates: readonly Gate[] = [], executeBatch?: ExecuteBatch) {
  const clock = new ManualClock();
  const batches: unknown[][] = [];
  const ends: Deferred<void>[] = [];
  const execute: ExecuteBatch = async (runs) => {
    batches.push(runs.map(({ work }) => work.received.data));
    const end = deferred();
    ends.push(end);
    await end.promise;
    return runs.map(() => DONE);
  };
  const batching = new Batching({ clock, size: 3, timeoutMs: 1000, gates }, executeBatch ?? execute);
  const handle = (data: unknown): { run: ReturnType<typeof runOf>; outcome: Promise<Outcome> } => {
    const run = runOf(handler, { data });
    return { run, outcome: batching.execute(run) };
  };
  return { clock, batches, ends, batching, handle };
}

describe('a batch', () => {
  it('is handled when it is full, whatever the time', async () => {
    const { batches, ends, handle, clock } = laneOf();
    const outcomes = [1, 2, 3, 4].map((data) => handle(data).outcome);
    await settled();
    expect(batches).toEqual([[1, 2, 3]]);
    ends[0]?.resolve();
    expect(await Promise.all(outcomes.slice(0, 3))).toEqual([DONE, DONE, DONE]);
    clock.advance(999);
    await settled();
    expect(batches).toHaveLength(1);
  });

  it('is handled as it is when its first message has waited long enough', async () => {
    const { batches, handle, clock } = laneOf();
    void handle(1);
    clock.advance(600);
    void handle(2);
    clock.advance(399);
    await settled();
    expect(batches).toEqual([]);
    clock.advance(1);
    await settled();
    expect(batches).toEqual([[1, 2]]);
    void handle(3);
    clock.advance(1000);
    await settled();
    expect(batches).toEqual([[1, 2], [3]]);
  });

  it('goes on filling while it waits for its turn, and does not grow beyond its size', async () => {
    const { batches, ends, handle, clock } = laneOf([new ConcurrencyGate(1)]);
    void handle(1);
    clock.advance(1000);
    await settled();
    void handle(2);
    clock.advance(1000);
    void handle(3);
    void handle(4);
    void handle(5);
    clock.advance(1000);
    await settled();
    expect(batches).toEqual([[1]]);
    ends[0]?.resolve();
    await settled();
    ends[1]?.resolve();
    await settled();
    expect(batches).toEqual([[1], [2, 3, 4], [5]]);
  });

  it('gives each message its own outcome', async () => {
    const outcomes: Outcome[] = [
      DONE,
      { kind: 'dead', reason: 'attempts', error: 1 },
      { kind: 'retry', delayMs: 1, counts: true, error: 2 },
    ];
    const { handle } = laneOf([], () => Promise.resolve(outcomes));
    expect(await Promise.all([1, 2, 3].map((data) => handle(data).outcome))).toEqual(outcomes);
  });

  it('leaves out what was lost meanwhile; when all were, the handler is not called', async () => {
    const { batches, handle, clock } = laneOf();
    const lost = handle(1);
    void handle(2);
    deliveryOf(lost.run).lose();
    clock.advance(1000);
    await settled();
    expect(batches).toEqual([[2]]);
    expect(await lost.outcome).toEqual(REQUEUE);
    const lostToo = handle(3);
    deliveryOf(lostToo.run).lose();
    clock.advance(1000);
    expect(await lostToo.outcome).toEqual(REQUEUE);
    expect(batches).toHaveLength(1);
  });

  it('goes back when the intake stops, full or not, unless it has begun', async () => {
    const gate = new ConcurrencyGate(1);
    const { batches, ends, batching, handle, clock } = laneOf([gate]);
    const begun = [1, 2, 3].map((data) => handle(data).outcome);
    const full = [4, 5, 6].map((data) => handle(data).outcome);
    const partial = [handle(7).outcome];
    await settled();
    gate.stop();
    batching.stop();
    expect(await Promise.all([...full, ...partial, handle(8).outcome])).toEqual(Array(5).fill(REQUEUE));
    ends[0]?.resolve();
    expect(await Promise.all(begun)).toEqual([DONE, DONE, DONE]);
    gate.start();
    batching.start();
    void handle(9);
    clock.advance(1000);
    await settled();
    expect(batches).toEqual([[1, 2, 3], [9]]);
  });

  it('rejects for each when what is around the handler fails, and leaves its gates', async () => {
    const gate = new ConcurrencyGate(1);
    const { handle, clock } = laneOf([gate], () => Promise.reject(new Error('hook')));
    for (const data of [1, 2]) {
      const { outcome } = handle(data);
      clock.advance(1000);
      await expect(outcome).rejects.toThrow('hook');
    }
  });
});
