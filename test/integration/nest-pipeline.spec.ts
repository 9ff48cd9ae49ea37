import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExecutionContext,
  type ExceptionFilter,
  Inject,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import {
  CONTEXT,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  type RequestContext,
} from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueContext } from '@nestmq/transport';
import { firstValueFrom, map, type Observable, of } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

const seen = new Collector<unknown>();

class OnlyPaid implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getData<{ paid: boolean }>().paid;
  }
}

class Doubling implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((value: number) => value * 2));
  }
}

class Recoverable extends Error {}

@Catch(Recoverable)
class Recovers implements ExceptionFilter {
  catch(error: Recoverable, host: ArgumentsHost): Observable<unknown> {
    seen.add(['filtered', error.message, host.switchToRpc().getContext<QueueContext>().getPattern()]);
    return of('recovered');
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerMessage {
  static made = 0;
  readonly number = ++PerMessage.made;
  constructor(@Inject(CONTEXT) readonly request: RequestContext) {}
}

@Controller()
class RequestScoped {
  constructor(private readonly perMessage: PerMessage) {}
  @EventPattern('scoped')
  handle(@Payload() data: unknown): void {
    seen.add([this.perMessage.number, this.perMessage.request.getData(), data]);
  }
}

@Controller()
class Enhanced {
  @MessagePattern('piped')
  piped(@Payload('id', ParseIntPipe) id: number): unknown {
    return id + 1;
  }
  @UseGuards(OnlyPaid)
  @EventPattern('guarded', { retry: { attempts: 1 } })
  guarded(@Payload() data: unknown): void {
    seen.add(data);
  }
  @UseInterceptors(Doubling)
  @MessagePattern('intercepted')
  intercepted(@Payload() data: number): number {
    return data;
  }
  @UseFilters(Recovers)
  @EventPattern('filtered')
  filtered(_data: unknown): void {
    throw new Recoverable('again');
  }
  @EventPattern('context')
  context(@Ctx() context: QueueContext): void {
    seen.add([
      context.constructor.name,
      context.attempt,
      context.redelivered,
      context.messageId.length,
      context.signal.aborted,
    ]);
  }
}

describe("Nest's own pipeline", () => {
  let broker: TestBroker;
  let started: StartedApp;
  beforeEach(async () => {
    seen.items.length = 0;
    broker = await TestBroker.start();
    started = await startApp(
      { url: broker.url, queue: 'enhanced' },
      { controllers: [Enhanced, RequestScoped], providers: [PerMessage] },
    );
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });

  it('runs pipes', async () => {
    expect(await firstValueFrom(started.client.send('piped', { id: '41' }))).toBe(42);
    await expect(firstValueFrom(started.client.send('piped', { id: 'x' }))).rejects.toBeDefined();
  });

  it('runs guards: a refused event is not handled, and not lost', async () => {
    started.client.emit('guarded', { paid: false, id: 1 });
    started.client.emit('guarded', { paid: true, id: 2 });
    expect(await seen.until(1)).toEqual([{ paid: true, id: 2 }]);
    const [letter] = await broker.take('enhanced.dead', 1);
    expect(letter?.data).toEqual({ paid: false, id: 1 });
    expect(letter?.message.properties.headers).toMatchObject({
      'x-nestmq-error-message': expect.stringContaining('Forbidden'),
    });
  });

  it('runs interceptors', async () => {
    expect(await firstValueFrom(started.client.send('intercepted', 21))).toBe(42);
  });

  it('runs filters: an error that a filter handles is a success', async () => {
    started.client.emit('filtered', 1);
    expect(await seen.until(1)).toEqual([['filtered', 'again', 'filtered']]);
    await started.app.close();
    expect(broker.messageCount('enhanced')).toBe(0);
    expect(broker.messageCount('enhanced.dead')).toBe(0);
  });

  it('makes request-scoped providers anew for each message, with its context', async () => {
    started.client.emit('scoped', 'a');
    started.client.emit('scoped', 'b');
    const [first, second] = (await seen.until(2)) as [number, string, string][];
    expect(new Set([first?.[0], second?.[0]]).size).toBe(2);
    expect([first?.slice(1), second?.slice(1)]).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ]);
  });

  it('gives handlers a QueueContext', async () => {
    started.client.emit('context', {});
    expect(await seen.until(1)).toEqual([['QueueContext', 1, false, 36, false]]);
  });
});
