import type { BaseRpcContext } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import type { RunWithProcessingHooks } from './processing.js';
import type { Reply } from './replies.js';

/** What Nest's Server does around a handler. */
export interface NestHooks {
  /** Whether somebody wants to know when handlers start and end. */
  readonly around: () => boolean;
  readonly runWithProcessingHooks: RunWithProcessingHooks;
  readonly handleRequest: (
    context: BaseRpcContext,
    produce: () => Promise<Observable<unknown>>,
    respond: (reply: Reply) => Promise<void> | void,
  ) => unknown;
  readonly transformToObservable: (result: unknown) => Observable<unknown>;
}
