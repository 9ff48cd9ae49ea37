import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { catchError, type Observable, throwError } from 'rxjs';
import { QueueContext } from './queue.context.js';

/**
 * Keeps the error that a handler threw. Nest turns errors that are no RpcException into "Internal server error"
 * before a transport sees them; a dead letter should tell what really happened.
 */
class ThrownErrorRecorder implements NestInterceptor {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const context: unknown = execution.getArgByIndex(1);
    if (!(context instanceof QueueContext)) return next.handle();
    return next.handle().pipe(
      catchError((error: unknown) => {
        context.thrown = error;
        return throwError(() => error);
      }),
    );
  }
}

export const thrownErrorRecorder: NestInterceptor = new ThrownErrorRecorder();
