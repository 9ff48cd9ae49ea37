import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Inject,
  Injectable,
  type LoggerService,
  Logger,
  type NestInterceptor,
  type CallHandler,
  ParseIntPipe,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import {
  type ContextId,
  ContextIdFactory,
  type ContextIdStrategy,
  type HostComponentInfo,
} from '@nestjs/core';
import {
  BaseRpcContext,
  CONTEXT,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  type RequestContext,
  RpcException,
} from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueContext } from '@nestmq/transport';
import {
  defer,
  EMPTY,
  finalize,
  firstValueFrom,
  from,
  lastValueFrom,
  type Observable,
  of,
  timer,
  toArray,
} from 'rxjs';
import { concatMap } from 'rxjs/operators';
import { Collector, type StartedApp, startApp } from '../app.js';

const seen = new Collector<unknown>();

class SeesTheType implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    seen.add(['type', context.getType(), context.switchToRpc().getContext<QueueContext>().getPattern()]);
    return next.handle();
  }
}

@Catch()
class Swallows implements ExceptionFilter {
  catch(_error: unknown, _host: ArgumentsHost): Observable<never> {
    seen.add('swallowed');
    return EMPTY;
  }
}

@Catch(RangeError)
class Rewrites implements ExceptionFilter {
  catch(error: RangeError): Observable<never> {
    return defer(() => {
      throw new RpcException(`rewritten: ${error.message}`);
    });
  }
}

@Injectable({ scope: Scope.REQUEST, durable: true })
class PerTenant {
  static made = 0;
  readonly number = ++PerTenant.made;
  constructor(@Inject(CONTEXT) readonly request: unknown) {}
}

@Controller()
class DurableScoped {
  constructor(private readonly perTenant: PerTenant) {}
  @EventPattern('tenant')
  handle(@Payload('n') n: number): void {
    seen.add([n, this.perTenant.number]);
  }
}

@Controller({ scope: Scope.REQUEST })
class RequestScoped {
  constructor(@Inject(CONTEXT) private readonly request: RequestContext<unknown, QueueContext>) {}
  @EventPattern('scoped.*')
  event(_data: unknown): void {
    const { pattern, data, context } = this.request;
    seen.add([pattern, data, context?.getPattern(), context?.attempt, context?.getMetadata()]);
    if (context?.attempt === 1) throw new Error('once more');
  }
  @MessagePattern('scoped')
  request$(@Payload() data: number): number {
    return data + 1;
  }
}

@Controller()
class Plain {
  @UseInterceptors(SeesTheType)
  @MessagePattern('typed')
  typed(@Payload('id', ParseIntPipe) id: number, @Ctx() context: QueueContext): unknown {
    return {
      id,
      isRpcContext: context instanceof BaseRpcContext,
      pattern: context.getPattern(),
      headers: context.getHeaders(),
      metadata: context.getMetadata(),
      body: context.getMessage().body.toString(),
      args: context.getArgs().length,
      first: context.getArgByIndex(0) === context.getArgs()[0],
    };
  }
  @MessagePattern('slow.stream')
  slow(@Payload() count: number): Observable<number> {
    return from(Array.from({ length: count }, (_, i) => i)).pipe(
      concatMap((value) => timer(0).pipe(concatMap(() => of(value)))),
    );
  }
  @EventPattern<string>('lazy')
  lazy(@Payload() data: unknown): Observable<unknown> {
    return defer(async () => {
      seen.add(['subscribed', data]);
    });
  }
  @EventPattern('fails.with.rpc', { retry: { attempts: 1 } })
  failsWithRpc(_data: unknown): void {
    throw new RpcException('said by the handler');
  }
  @UseFilters(Swallows)
  @EventPattern('swallowed')
  swallowed(_data: unknown): void {
    throw new Error('handled by the filter');
  }
  @UseFilters(Rewrites)
  @MessagePattern('rewritten')
  rewritten(): never {
    throw new RangeError('too far');
  }
  @UseGuards({ canActivate: () => false })
  @MessagePattern('forbidden')
  forbidden(): number {
    return 1;
  }
}

describe("the contract of Nest's handlers", () => {
  let broker: TestBroker;
  let started: StartedApp;
  beforeEach(async () => {
    seen.items.length = 0;
    broker = await TestBroker.start();
    started = await startApp(
      { url: broker.url, queue: 'plain', retry: { delay: 0 } },
      { controllers: [Plain, RequestScoped, DurableScoped], providers: [PerTenant] },
    );
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });
  const send = (pattern: string, data: unknown): Promise<unknown> =>
    firstValueFrom(started.client.send(pattern, data));

  it('gives handlers a BaseRpcContext with message, pattern, headers and metadata; the execution type is rpc', async () => {
    expect(await send('typed', { id: '7' })).toEqual({
      id: 7,
      isRpcContext: true,
      pattern: 'typed',
      headers: {},
      metadata: {},
      body: '{"id":"7"}',
      args: 3,
      first: true,
    });
    expect(seen.items).toEqual([['type', 'rpc', 'typed']]);
  });

  it('carries what a dispatch hook attached to the packet to getMetadata, for requests and events', async () => {
    const packets: unknown[] = [];
    started.client.setOnDispatchHook((packet) => {
      packets.push([packet.pattern, packet.data]);
      packet.metadata = { 'x-request-id': `trace-${packets.length}` };
    });
    expect(await send('typed', { id: 1 })).toMatchObject({ metadata: { 'x-request-id': 'trace-1' } });
    started.client.emit('scoped.a', 2);
    const [, event] = (await seen.until(2)) as unknown[][];
    expect(event?.at(4)).toEqual({ 'x-request-id': 'trace-2' });
    expect(packets).toEqual([
      ['typed', { id: 1 }],
      ['scoped.a', 2],
    ]);
  });

  it('subscribes to what handlers return, and awaits it before it acks', async () => {
    await lastValueFrom(started.client.emit('lazy', 1), { defaultValue: undefined });
    expect(await seen.until(1)).toEqual([['subscribed', 1]]);
    await started.server.drain();
    expect(broker.messageCount('plain')).toBe(0);
  });

  it('replies each value of a stream in order, also of one that takes its time', async () => {
    const values = await firstValueFrom(started.client.send('slow.stream', 20).pipe(toArray()));
    expect(values).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('ends a stream when its caller leaves: later values reach nobody, and nothing fails', async () => {
    expect(await firstValueFrom(started.client.send('slow.stream', 20))).toBe(0);
    await started.server.drain();
    expect(broker.messageCount('plain')).toBe(0);
  });

  it('acks what a filter has made a success of, and answers with what a filter has made of an error', async () => {
    await lastValueFrom(started.client.emit('swallowed', 1), { defaultValue: undefined });
    await seen.until(1);
    expect(await send('rewritten', 1).catch((error: unknown) => error)).toMatchObject({
      message: expect.stringContaining('rewritten: too far'),
    });
    await started.server.drain();
    expect(broker.messageCount('plain')).toBe(0);
    expect(broker.messageCount('plain.dead')).toBe(0);
  });

  it('answers with the refusal of a guard', async () => {
    expect(await send('forbidden', 1).catch((error: unknown) => error)).toMatchObject({
      message: 'Forbidden resource',
    });
  });

  it('resolves request-scoped handlers for each attempt, with the RequestContext injected', async () => {
    started.client.emit('scoped.a', { n: 1 });
    expect(await seen.until(2)).toEqual([
      ['scoped.*', { n: 1 }, 'scoped.a', 1, {}],
      ['scoped.*', { n: 1 }, 'scoped.a', 2, expect.objectContaining({ 'x-nestmq-attempts-before': 1 })],
    ]);
    expect(await send('scoped', 41)).toBe(42);
  });

  it('keeps durable providers by the strategy of the application', async () => {
    const trees = new Map<string, ContextId>();
    class ByTenant implements ContextIdStrategy<RequestContext<{ tenant: string }>> {
      attach(contextId: ContextId, { data }: RequestContext<{ tenant: string }>) {
        if (data?.tenant === undefined) return () => contextId;
        const tree = trees.get(data.tenant) ?? ContextIdFactory.create();
        trees.set(data.tenant, tree);
        return {
          resolve: (info: HostComponentInfo) => (info.isTreeDurable ? tree : contextId),
          payload: { tenant: data.tenant },
        };
      }
    }
    ContextIdFactory.apply(new ByTenant());
    try {
      for (const [n, tenant] of ['a', 'b', 'a', 'b'].entries()) started.client.emit('tenant', { n, tenant });
      const numbers = new Map((await seen.until(4)) as [number, number][]);
      expect(numbers.get(0)).toBe(numbers.get(2));
      expect(numbers.get(1)).toBe(numbers.get(3));
      expect(numbers.get(0)).not.toBe(numbers.get(1));
    } finally {
      ContextIdFactory.apply({ attach: (contextId) => () => contextId });
    }
  });
});

describe('processing hooks', () => {
  @Controller()
  class Hooked {
    @EventPattern<string>('event', { retry: { attempts: 2, delay: 0 } })
    event(@Payload() fails: boolean, @Ctx() context: QueueContext): void {
      seen.add(`handled ${context.attempt}`);
      if (fails) throw new Error('x');
    }
    @EventPattern('event')
    second(_data: unknown): Observable<unknown> {
      return from([1, 2]).pipe(finalize(() => seen.add('second')));
    }
    @MessagePattern('request')
    request(): Observable<number> {
      return from([1, 2, 3]);
    }
    @MessagePattern('broken')
    broken(): never {
      throw new RpcException('x');
    }
  }

  it('are called once before and once after each handler, whatever comes of it, and the first may defer it', async () => {
    seen.items.length = 0;
    const broker = await TestBroker.start();
    const { app, client, server } = await startApp(
      { url: broker.url, queue: 'hooked' },
      { controllers: [Hooked] },
    );
    const open = new Map<unknown, number>();
    const counts = { start: 0, end: 0 };
    server.setOnProcessingStartHook((id, context, begin) => {
      expect(id).toBe(server.transportId);
      counts.start++;
      open.set(context, (open.get(context) ?? 0) + 1);
      setImmediate(() => void begin());
    });
    server.setOnProcessingEndHook((_id, context) => {
      counts.end++;
      open.set(context, (open.get(context) ?? 0) - 1);
    });
    // Two handlers, the first of which fails twice.
    await lastValueFrom(client.emit('event', true), { defaultValue: undefined });
    await broker.take('hooked.dead', 1);
    expect(seen.items.toSorted()).toEqual(['handled 1', 'handled 2', 'second']);
    expect(await firstValueFrom(client.send('request', 1).pipe(toArray()))).toEqual([1, 2, 3]);
    await expect(firstValueFrom(client.send('broken', 1))).rejects.toBeDefined();
    await app.close();
    expect(counts).toEqual({ start: 5, end: 5 });
    expect([...open.values()]).toEqual([0, 0, 0, 0, 0]);
    await broker.stop();
  });
});

describe('an event that fails', () => {
  it('is logged once, by the transport: Nest is told that its failure is observed', async () => {
    const lines: string[] = [];
    const logger: LoggerService = {
      log: () => {},
      warn: (...parts: unknown[]) => lines.push(`warn ${parts.map(String).join(' ')}`),
      error: (...parts: unknown[]) => lines.push(`error ${parts.map(String).join(' ')}`),
    };
    const broker = await TestBroker.start();
    const { app, client } = await startApp({ url: broker.url, queue: 'plain' }, { controllers: [Plain] });
    Logger.overrideLogger(logger);
    client.emit('fails.with.rpc', 1);
    await broker.take('plain.dead', 1);
    await app.close();
    Logger.overrideLogger(false);
    expect(lines.filter((line) => line.includes('said by the handler'))).toHaveLength(1);
    expect(lines[0]).toContain("dead-lettered to 'plain.dead': said by the handler");
    await broker.stop();
  });
});
