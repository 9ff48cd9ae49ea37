import type { ArgumentsHost } from '@nestjs/common';
import { BaseRpcExceptionFilter } from '@nestjs/microservices';
import { QueueBatchContext } from '../queue-batch.context.js';
import { QueueContext } from '../queue.context.js';

const RECORDING = Symbol('nestmq:recording');

/**
 * Keeps the error that a handler threw in its context. Nest turns errors that are no RpcException into "Internal server
 * error" before a transport sees them; a dead letter should tell what really happened.
 *
 * It is the base filter itself that is taught to do so, since whatever else sees the error sits in the way of every
 * message: an interceptor took a quarter of the throughput, and does not see what guards throw. Idempotent.
 */
export function recordThrownErrors(): void {
  const prototype = BaseRpcExceptionFilter.prototype as BaseRpcExceptionFilter & { [RECORDING]?: true };
  if (prototype[RECORDING] === true) return;
  Object.defineProperty(prototype, RECORDING, { value: true });
  const original = Reflect.get(prototype, 'catch');
  prototype.catch = function recordAndCatch(
    this: BaseRpcExceptionFilter,
    exception: unknown,
    host: ArgumentsHost,
  ) {
    const context: unknown = host.getArgByIndex(1);
    if (context instanceof QueueContext || context instanceof QueueBatchContext)
      context.recordThrown(exception);
    return original.call(this, exception, host);
  };
}
