import { randomUUID } from 'node:crypto';
import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { HandlerOptions, QueueContext, QueueOptions } from '@nestmq/transport';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from '../app.js';

/** Where the features are shown. `options` lead to the broker; `close` is called when everything on it is closed. */
export interface FeatureHome {
  readonly options: QueueOptions;
  close(): Promise<void>;
}

type Handle = (data: never, context: QueueContext) => unknown;

/** No waiting for its own sake: a failed attempt is repeated soon. */
export const SOON = { delay: 50, jitter: 0, backoff: 'fixed' } as const;

/** Applications on one home, each test with queues and patterns of its own. */
export class FeatureFixture {
  /** Undefined where it can't be had: then there is nothing to show. */
  home: FeatureHome | undefined;
  id = '';
  seen: Collector<string> = new Collector();
  #apps: StartedApp[] = [];

  begin(): void {
    this.id = `f${randomUUID().slice(0, 8)}`;
    this.#apps = [];
    this.seen = new Collector();
  }

  async end(): Promise<void> {
    for (const { app } of this.#apps) await app.close();
  }

  /** A controller with one handler of an event; `pattern` is behind the prefix of the test. */
  event(pattern: string, handle: Handle, options: HandlerOptions = {}): Type<unknown> {
    @Controller()
    class Handler {
      @EventPattern<string>(`${this.id}.${pattern}`, { retry: SOON, ...options })
      handle(@Payload() data: never, @Ctx() context: QueueContext): unknown {
        return handle(data, context);
      }
    }
    return Handler;
  }

  request(pattern: string, handle: Handle): Type<unknown> {
    @Controller()
    class Handler {
      @MessagePattern<string>(`${this.id}.${pattern}`)
      handle(@Payload() data: never, @Ctx() context: QueueContext): unknown {
        return handle(data, context);
      }
    }
    return Handler;
  }

  async service(controllers: Type<unknown>[], options: Partial<QueueOptions> = {}): Promise<StartedApp> {
    const started = await startApp(
      { ...(this.home as FeatureHome).options, queue: this.id, ...options },
      { controllers },
    );
    this.#apps.push(started);
    return started;
  }

  emit({ client }: StartedApp, pattern: string, data: unknown): Promise<unknown> {
    return lastValueFrom(client.emit(`${this.id}.${pattern}`, data), { defaultValue: undefined });
  }

  ask({ client }: StartedApp, pattern: string, data: unknown): Promise<unknown> {
    return firstValueFrom(client.send(`${this.id}.${pattern}`, data));
  }

  saying(what: string): Handle {
    return (data, { attempt }) => this.seen.add(`${what} ${String(data)} ${attempt}`);
  }
}

/** What a broker tells a little later. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
