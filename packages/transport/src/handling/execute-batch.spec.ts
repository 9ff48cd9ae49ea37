import { describe, expect, it } from '@jest/globals';
import { BatchFailedException } from '../batch.exceptions.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import { RetryLaterException, UnrecoverableException } from '../retry.exceptions.js';
import { executingBatch } from './execute-batch.js';
import { deliveryOf, handlerOf, runOf } from './handling.spec.support.js';
import type { Outcome } from './outcome.js';

const handler = handlerOf({ batch: { size: 10 }, retry: { attempts: 2, delay: 100, jitter: 0 } });

async function outcomesWhen(
  fail: Parameters<typeof executingBatch>[0],
  attempts: readonly number[] = [1, 1, 1],
): Promise<readonly Outcome[]> {
  return executingBatch(fail)(attempts.map((attempt, data) => runOf(handler, { attempt, data })));
}

function throwing(error: unknown): () => Promise<void> {
  return async () => {
    throw error;
  };
}
const kinds = (outcomes: readonly Outcome[]): string[] => outcomes.map(({ kind }) => kind);

describe('the handler of a batch', () => {
  it('gets the data in order, and a context with that of each message', async () => {
    let seen: unknown;
    await outcomesWhen((runs, data, context) => {
      seen = data;
      expect(context.contexts).toEqual(runs.map((run) => run.context));
      expect(context.messages).toEqual(runs.map((run) => run.work.delivery.message));
      expect([context.pattern, context.getPattern(), context.getArgByIndex(1)]).toEqual(['p', 'p', 'p']);
      return Promise.resolve();
    });
    expect(seen).toEqual([0, 1, 2]);
  });

  it('has handled all when it ends well', async () => {
    expect(kinds(await outcomesWhen(() => Promise.resolve()))).toEqual(['done', 'done', 'done']);
  });

  it('has failed for each by its own attempt when it throws', async () => {
    const outcomes = await outcomesWhen(throwing(new Error('no')), [1, 2, 1]);
    expect(kinds(outcomes)).toEqual(['retry', 'dead', 'retry']);
  });

  it('may say which have failed, and by what', async () => {
    const failed = new Map<number, unknown>([
      [0, new UnrecoverableException('never')],
      [2, new RetryLaterException('5s')],
    ]);
    const outcomes = await outcomesWhen(throwing(new BatchFailedException({ failed })));
    expect(outcomes).toMatchObject([
      { kind: 'dead', reason: 'unrecoverable' },
      { kind: 'done' },
      { kind: 'retry', delayMs: 5000 },
    ]);
    const error = new BatchFailedException({ failed: [1] }, 'the middle one');
    expect(await outcomesWhen(throwing(error))).toMatchObject([
      { kind: 'done' },
      { kind: 'retry', error },
      { kind: 'done' },
    ]);
  });

  it('has failed as a whole when it names a message that the batch does not have', async () => {
    const outcomes = await outcomesWhen(throwing(new BatchFailedException({ failed: [1, 3] })));
    expect(kinds(outcomes)).toEqual(['retry', 'retry', 'retry']);
    expect(outcomes[0]).toMatchObject({ error: { message: expect.stringContaining('3 failed') } });
  });

  it.each([
    ['nothing', []],
    ['a negative place', [-1]],
    ['a part of a place', new Map([[0.5, 'x']])],
    ['what is no number', ['1'] as never],
  ])('can not name %s as failed', (_what, failed) => {
    expect(() => new BatchFailedException({ failed })).toThrow(QueueOptionsException);
  });

  it('may settle single messages by hand, which its end does not change', async () => {
    const run = runOf(handler);
    const other = runOf(handler);
    const [byHand, failed] = await executingBatch((_runs, _data, context) => {
      context.contexts[0]?.ack();
      return Promise.reject(new Error('the other'));
    })([run, other]);
    expect([byHand?.kind, run.outcome?.kind, failed?.kind]).toEqual(['done', 'done', 'retry']);
  });

  it('is judged by what it threw, not by what filters made of it', async () => {
    const outcomes = await outcomesWhen((_runs, _data, context) => {
      context.recordThrown(new BatchFailedException({ failed: [2] }));
      return Promise.reject(new Error('Internal server error'));
    });
    expect(kinds(outcomes)).toEqual(['done', 'done', 'retry']);
  });

  it('is told when one of its messages is lost', async () => {
    let aborted: unknown;
    await outcomesWhen((runs, _data, context) => {
      context.signal.addEventListener('abort', () => (aborted = context.signal.reason));
      deliveryOf(runs[1] as never).lose();
      runs[1]?.abort(new Error('lost'));
      return Promise.resolve();
    });
    expect(aborted).toEqual(new Error('lost'));
  });
});
