import type { Clock } from '@nestmq/broker';
import type { Observable } from 'rxjs';
import { HandlerTimeoutException, RetryLaterException } from '../retry.exceptions.js';
import { failed, withinTime } from './execute.js';
import type { NestHooks } from './nest-hooks.js';
import { DONE, type Outcome } from './outcome.js';
import { Replies, type RepliesInit, type Reply } from './replies.js';
import type { Run } from './work.js';

export interface AnswerInit extends RepliesInit {
  readonly clock: Clock;
  readonly hooks: NestHooks;
}

/**
 * Runs the handler of a request and sends what it answers. A caller whose handler takes too long is told so, and gets
 * nothing after that.
 */
export async function answer(init: AnswerInit, run: Run): Promise<Outcome> {
  const replies = new Replies(init, run.work.delivery, run.work.received.replyFormat);
  let isOver = false;
  const send = (reply: Reply): Promise<void> | void => (isOver ? undefined : replies.send(reply));
  try {
    return await withinTime(init.clock, [run], () => ask(init.hooks, run, send));
  } catch (error) {
    if (!(error instanceof HandlerTimeoutException)) throw error;
    isOver = true;
    await replies.send({ err: error });
    return DONE;
  }
}

/** Resolves when the last reply is on its way. */
function ask(hooks: NestHooks, run: Run, send: (reply: Reply) => Promise<void> | void): Promise<Outcome> {
  return new Promise<Outcome>((resolve, reject) => {
    const respond = (reply: Reply): Promise<void> | void => {
      const again = reply.err === undefined ? undefined : anotherTry(run, reply.err);
      if (again !== undefined) return resolve(again);
      const sent = send(reply);
      if (reply.err === undefined && reply.isDisposed !== true) return sent;
      const outcome = run.asked ?? DONE;
      if (sent === undefined) resolve(outcome);
      else void sent.then(() => resolve(outcome));
      return sent;
    };
    const produce = async (): Promise<Observable<unknown>> =>
      hooks.transformToObservable(await run.handler.handle(run.work.received.data, run.context));
    Promise.resolve(hooks.handleRequest(run.context, produce, respond)).catch(reject);
  });
}

/** A request's error is its answer, unless the handler asked to be tried again. */
function anotherTry(run: Run, error: unknown): Outcome | undefined {
  const byHand = run.outcome ?? run.asked;
  if (byHand?.kind === 'retry') return byHand;
  const thrown = run.thrown === undefined ? error : run.thrown.error;
  if (!(thrown instanceof RetryLaterException)) return undefined;
  const outcome = failed(run, error);
  return outcome.kind === 'retry' ? outcome : undefined;
}
