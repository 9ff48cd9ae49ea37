import { type Execute, failed as failedBy } from './execute.js';
import { DONE } from './outcome.js';
import { setImmediate } from 'node:timers/promises';
import type { FieldTable, Message } from '@nestmq/broker';
import { type HandlerOptions, normaliseHandlerOptions } from '../handler.options.js';
import type { LinkDelivery } from '../links/link.js';
import type { RegisteredHandler } from './handler-table.js';
import { DEFAULT_RETRY } from '../retry-policy.js';
import { type Run, Work } from './work.js';

const DEFAULTS = { queue: 'q', retry: DEFAULT_RETRY, prefetchCount: 100, noAck: false };

export function handlerOf(options: HandlerOptions = {}, id = 'p@0'): RegisteredHandler {
  const [pattern] = id.split('@') as [string];
  const policy = normaliseHandlerOptions(`the handler of '${pattern}'`, options, DEFAULTS);
  return { id, pattern, isEvent: true, policy, handle: () => Promise.resolve() as never };
}

/** A delivery without a broker, which notes how it was settled. */
export class FakeDelivery implements LinkDelivery {
  readonly redelivered: boolean = false;
  readonly message: Message;
  settledBy: string | undefined;

  constructor(headers: FieldTable = {}, message: Partial<Message> = {}) {
    const properties = { messageId: 'm', expiration: '5000', headers };
    this.message = {
      exchange: 'nestmq.events',
      routingKey: 'p',
      body: Buffer.from('1'),
      properties,
      ...message,
    };
  }

  get settled(): boolean {
    return this.settledBy !== undefined;
  }

  ack(): void {
    this.settledBy ??= 'ack';
  }

  requeue({ failed }: { readonly failed: boolean }): void {
    this.settledBy ??= failed ? 'requeue as failed' : 'requeue';
  }

  /** As if its connection were lost. */
  lose(): void {
    this.settledBy ??= 'lost';
  }
}

export interface RunInit {
  readonly data?: unknown;
  readonly headers?: FieldTable;
  readonly attempt?: number;
  readonly work?: Work;
}

/** One attempt at a message of its own, or at that of `work`. */
export function runOf(handler: RegisteredHandler, init: RunInit = {}): Run {
  const { data, headers, attempt = 1, work = new Work(new FakeDelivery(headers)) } = init;
  if (init.work === undefined)
    work.receive({ kind: 'event', pattern: handler.pattern, data, replyFormat: 'nestmq' });
  return work.add(handler, attempt);
}

export function deliveryOf(run: Run): FakeDelivery {
  return run.work.delivery as FakeDelivery;
}

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  return { promise, resolve, reject };
}

/** Everything that waits for nothing but promises has gone on. */
export async function settled(): Promise<void> {
  await setImmediate();
}

/** A lane's end: what a call means by the handler's policy. */
export function executing(call: (run: Run) => Promise<void>): Execute {
  return async (run) => {
    try {
      await call(run);
      return run.asked ?? DONE;
    } catch (error) {
      return run.asked ?? failedBy(run, error);
    }
  };
}
