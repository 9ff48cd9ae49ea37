import { BatchFailedException } from '../batch.exceptions.js';
import { QueueBatchContext } from '../queue-batch.context.js';
import type { ExecuteBatch } from './lanes/batching.js';
import { DONE, type Outcome, outcomeOf } from './outcome.js';
import type { Run } from './work.js';

/** What the end of a batch's handler means for each of its messages. */
export function executingBatch(
  call: (runs: readonly Run[], data: readonly unknown[], context: QueueBatchContext) => Promise<void>,
): ExecuteBatch {
  return async (runs) => {
    const [{ handler }] = runs as [Run];
    const context = new QueueBatchContext([runs.map((run) => run.context), handler.pattern]);
    try {
      await call(
        runs,
        runs.map(({ work }) => work.received.data),
        context,
      );
      return runs.map(() => DONE);
    } catch (error) {
      const failures = failuresOf(context.thrown === undefined ? error : context.thrown.error, runs.length);
      return runs.map((run, place) => outcomeFor(run, failures(place)));
    }
  };
}

/** What each message failed by; undefined: it did not. */
function failuresOf(
  error: unknown,
  size: number,
): (place: number) => { readonly error: unknown } | undefined {
  if (!(error instanceof BatchFailedException)) return () => ({ error });
  const { failed } = error;
  const beyond = [...failed.keys()].filter((place) => place >= size);
  if (beyond.length > 0) {
    const wrong = new Error(
      `The batch had ${size} messages, and its handler says that ${beyond.join(', ')} failed (0 is the first). So all of them count as failed.`,
      { cause: error },
    );
    return () => ({ error: wrong });
  }
  return (place) => (failed.has(place) ? { error: failed.get(place) } : undefined);
}

/** What was settled by hand is done with: that the others failed is no news of it. */
function outcomeFor(run: Run, failure: { readonly error: unknown } | undefined): Outcome {
  if (failure === undefined || run.outcome !== undefined) return DONE;
  return outcomeOf(failure.error, run.attempt, run.handler.policy.retry);
}
