import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { BaseRpcExceptionFilter, type MessageHandler } from '@nestjs/microservices';
import type { QueueWitness } from '../observability/witness.js';
import { QueueBatchContext } from '../queue-batch.context.js';
import type { QueueContext } from '../queue.context.js';

/**
 * The handler, unless the witness has an error for this call: then it is as if the handler had thrown that, and nothing but
 * Nest's own filter had seen it. Of a batch the first message's pattern counts.
 */
export function interruptible(handle: MessageHandler, witness: QueueWitness): MessageHandler {
  const call = async (data: unknown, context: QueueContext | QueueBatchContext): Promise<unknown> => {
    const first = context instanceof QueueBatchContext ? context.contexts[0] : context;
    const interruption = witness.interruption(first?.getPattern() ?? context.getPattern());
    if (interruption === undefined) return handle(data, context);
    const host = new ExecutionContextHost([data, context]);
    return new BaseRpcExceptionFilter().catch(interruption.error, host);
  };
  return Object.assign(call, handle) as MessageHandler;
}
