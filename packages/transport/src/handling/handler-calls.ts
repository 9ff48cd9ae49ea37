import type { BaseRpcContext, MessageHandler } from '@nestjs/microservices';
import type { Clock } from '@nestmq/broker';
import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { HandlerTimeoutException, RetryLaterException } from '../retry.exceptions.js';
import { errorToSend } from '../wire/errors.js';
import { executingBatch } from './execute-batch.js';
import { type Execute, failed, withinTime } from './execute.js';
import type { ExecuteBatch } from './lanes/batching.js';
import type { NestHooks } from './nest-hooks.js';
import { DONE, type Outcome } from './outcome.js';
import { Replies, type RepliesInit, type Reply } from './replies.js';
import type { Run } from './work.js';

export interface HandlerCallsInit extends RepliesInit {
  readonly clock: Clock;
  readonly hooks: NestHooks;
}

const NOTHING = { defaultValue: undefined };

/** Calls handlers as Nest does: between its hooks, within their time, and to the end of what they return. */
export class HandlerCalls {
  readonly #init: HandlerCallsInit;

  constructor(init: HandlerCallsInit) {
    this.#init = init;
  }

  readonly event: Execute = async (run) => {
    const { handler, work, context } = run;
    try {
      if (handler.policy.timeoutMs === undefined && !this.#init.hooks.around()) {
        // What most messages take: nothing is made for it.
        const result: unknown = await handler.handle(work.received.data, context);
        if (isObservable(result)) await lastValueFrom(result, NOTHING);
      } else {
        await this.#call([run], handler.handle, work.received.data, context);
      }
      return run.asked ?? DONE;
    } catch (error) {
      return run.asked ?? failed(run, error);
    }
  };

  readonly batch: ExecuteBatch = executingBatch((runs, data, context) => {
    const [{ handler }] = runs as [Run];
    return this.#call(runs, handler.handle, data, context);
  });

  /** Resolves when the last reply is on its way. A caller whose handler takes too long is told so, and gets nothing after that. */
  readonly request: Execute = async (run) => {
    const replies = new Replies(this.#init, run.work.delivery, run.work.received.replyFormat);
    let isOver = false;
    const send = (reply: Reply): Promise<void> | void => (isOver ? undefined : replies.send(reply));
    try {
      return await withinTime(this.#init.clock, [run], () => this.#ask(run, send));
    } catch (error) {
      if (!(error instanceof HandlerTimeoutException)) throw error;
      isOver = true;
      await replies.send({ err: error });
      return DONE;
    }
  };

  #call(runs: readonly Run[], handle: MessageHandler, data: unknown, context: BaseRpcContext): Promise<void> {
    return withinTime(this.#init.clock, runs, () =>
      this.#hooked(context, async () => {
        const result: unknown = await handle(data, context);
        if (isObservable(result)) await lastValueFrom(result, NOTHING);
      }),
    );
  }

  /** Nest's hooks around one call, once each. */
  async #hooked(context: BaseRpcContext, call: () => Promise<void>): Promise<void> {
    const { hooks } = this.#init;
    if (!hooks.around()) return call();
    // Not by the promise that the hook returns: a start hook may let the handler begin later.
    return new Promise((resolve, reject) => {
      const ran = hooks.runWithProcessingHooks(context, async (runEndHook) => {
        try {
          await call();
          resolve();
        } catch (error) {
          reject(error);
        } finally {
          runEndHook();
        }
      });
      Promise.resolve(ran).catch(reject);
    });
  }

  #ask(run: Run, send: (reply: Reply) => Promise<void> | void): Promise<Outcome> {
    const { hooks } = this.#init;
    return new Promise<Outcome>((resolve, reject) => {
      const respond = (reply: Reply): Promise<void> | void => {
        const again = reply.err === undefined ? undefined : anotherTry(run, reply.err);
        if (again !== undefined) return resolve(again);
        const sent = send(withError(reply, run));
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
}

/** What its caller may know of an error. */
function withError(reply: Reply, { thrown }: Run): Reply {
  return reply.err === undefined ? reply : { ...reply, err: errorToSend(reply.err, thrown?.error) };
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
