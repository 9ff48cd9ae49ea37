import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ArgumentsHost,
  type CanActivate,
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
  firstValueFrom,
  from,
  lastValueFrom,
  map,
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
  catch({ message }: Error, host: ArgumentsHost): Observable<never> {
    seen.add([message, host.switchToRpc().getContext<QueueContext>().getPattern()]);
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

class Doubles implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((value: number) => value * 2));
  }
}

class OnlyPaid implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getData<{ paid: boolean }>().paid;
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
  static made = 0;
  readonly number = ++RequestScoped.made;
  constructor(@Inject(CONTEXT) private readonly request: RequestContext<unknown, QueueContext>) {}
  @EventPattern('scoped.*')
  event(_data: unknown): void {
    const { pattern, data, context } = this.request;
    seen.add([pattern, data, context?.getPattern(), context?.attempt, context?.getMetadata(), this.number]);
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
      isQueueContext: context instanceof QueueContext,
      attempt: context.attempt,
      redelivered: context.redelivered,
      messageId: context.messageId.length,
      aborted: context.signal.aborted,
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
  @UseInterceptors(Doubles)
  @MessagePattern('doubled')
  doubled(@Payload() data: number): number {
    return data;
  }
  @UseGuards(OnlyPaid)
  @EventPattern('guarded', { retry: { attempts: 1 } })
  guarded(@Payload() data: unknown): void {
    seen.add(data);
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
      isQueueContext: true,
      attempt: 1,
      redelivered: false,
      messageId: 36,
      aborted: false,
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
    expect(await seen.until(1)).toEqual([['handled by the filter', 'swallowed']]);
    expect(await send('rewritten', 1).catch((error: unknown) => error)).toMatchObject({
      message: expect.stringContaining('rewritten: too far'),
    });
    await started.server.drain();
    expect(broker.messageCount('plain')).toBe(0);
    expect(broker.messageCount('plain.dead')).toBe(0);
  });

  it('answers with what an interceptor has made of the value', async () => {
    expect(await send('doubled', 21)).toBe(42);
  });

  it('answers with the refusal of a guard or a pipe', async () => {
    expect(await send('forbidden', 1).catch((error: unknown) => error)).toMatchObject({
      message: 'Forbidden resource',
    });
    await expect(send('typed', { id: 'x' })).rejects.toBeDefined();
  });

  it('dead-letters an event that a guard refuses', async () => {
    for (const paid of [false, true]) started.client.emit('guarded', { paid });
    expect(await seen.until(1)).toEqual([{ paid: true }]);
    const [letter] = await broker.take('plain.dead', 1);
    expect(letter?.data).toEqual({ paid: false });
    expect(letter?.message.properties.headers).toMatchObject({
      'x-nestmq-error-message': expect.stringContaining('Forbidden'),
    });
  });

  it('resolves request-scoped handlers for each attempt, with the RequestContext injected', async () => {
    started.client.emit('scoped.a', { n: 1 });
    const [first, second] = (await seen.until(2)) as unknown[][];
    expect([first?.slice(0, 5), second?.slice(0, 5)]).toEqual([
      ['scoped.*', { n: 1 }, 'scoped.a', 1, {}],
      ['scoped.*', { n: 1 }, 'scoped.a', 2, expect.objectContaining({ 'x-nestmq-attempts-before': 1 })],
    ]);
    expect(first?.[5]).not.toBe(second?.[5]);
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
