import type { BaseRpcContext } from '@nestjs/microservices';

/** The hooks that instrumentation has set on a Server. */
export interface ProcessingHooks {
  /** Calls `run` once, at once or later. */
  readonly start: (context: BaseRpcContext, run: () => Promise<void>) => unknown;
  readonly end: (context: BaseRpcContext) => void;
}

export type RunWithProcessingHooks = (
  context: BaseRpcContext,
  run: (runEndHook: () => void) => Promise<void>,
) => unknown;

/**
 * Runs something between Nest's hooks: the end hook is called once, by whoever calls `runEndHook` first or because `run`
 * failed. Nest 12 has such a method in its Server, Nest 11 in none that is shared: with this one, both do the same.
 */
export function withProcessingHooks({ start, end }: ProcessingHooks): RunWithProcessingHooks {
  return (context, run) =>
    start(context, async () => {
      let ended = false;
      const runEndHook = (): void => {
        if (ended) return;
        ended = true;
        end(context);
      };
      try {
        await run(runEndHook);
      } catch (error) {
        runEndHook();
        throw error;
      }
    });
}
