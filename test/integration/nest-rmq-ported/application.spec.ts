import { describe, expect, it } from '@jest/globals';
import {
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  type INestMicroservice,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';
import { firstValueFrom, type Observable, throwError } from 'rxjs';
import { Collector } from '../app.js';
import { HOMES } from '../homes.js';

const called = new Collector<string>();

class SpyGuard implements CanActivate {
  canActivate(): boolean {
    called.add('guard');
    return true;
  }
}
class SpyInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    called.add('interceptor');
    return next.handle();
  }
}
class SpyPipe implements PipeTransform {
  transform(value: unknown): unknown {
    called.add('pipe');
    return value;
  }
}
@Catch()
class SpyFilter implements ExceptionFilter {
  catch(error: RpcException): Observable<never> {
    called.add('filter');
    return throwError(() => error);
  }
}

@Controller()
class Handlers {
  @MessagePattern('sum')
  sum(@Payload() data: number[]): number {
    return data.reduce((a, b) => a + b);
  }
  @MessagePattern('exception')
  exception(): never {
    throw new RpcException('x');
  }
  @MessagePattern('echo-metadata')
  echo(@Payload() data: unknown, @Ctx() context: QueueContext): unknown {
    return { data, metadata: context.getMetadata() };
  }
  @EventPattern<string>('record-metadata')
  record(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
    called.add(JSON.stringify(context.getMetadata()));
  }
}

describe.each(HOMES)('an application on %s', (_scheme, makeHome) => {
  async function start(configure: (microservice: INestMicroservice) => void) {
    called.items.length = 0;
    const home = await makeHome();
    const testing = await Test.createTestingModule({
      imports: [QueueModule.forRoot({ url: home.url, queue: 'handlers' })],
      controllers: [Handlers],
    }).compile();
    const app = testing.createNestApplication({ logger: false });
    const server = app.get(QueueServer);
    const microservice = app.connectMicroservice({ strategy: server }, { deferInitialization: true });
    configure(microservice);
    await app.startAllMicroservices();
    await app.init();
    const close = async (): Promise<void> => {
      await app.close();
      await home.remove();
    };
    return { client: app.get(QueueClient), close };
  }

  it('calls the global guards, interceptors, pipes and filters of its microservice', async () => {
    const { client, close } = await start((microservice) => {
      microservice.useGlobalGuards(new SpyGuard());
      microservice.useGlobalInterceptors(new SpyInterceptor());
      microservice.useGlobalPipes(new SpyPipe());
      microservice.useGlobalFilters(new SpyFilter());
    });
    expect(await firstValueFrom(client.send('sum', [1, 2]))).toBe(3);
    expect(called.items).toEqual(['guard', 'interceptor', 'pipe']);
    await expect(firstValueFrom(client.send('exception', 1))).rejects.toBeDefined();
    expect(called.items).toContain('filter');
    await close();
  });

  it('delivers what the dispatch hook attached, beside an untouched payload; nothing without a hook', async () => {
    const { client, close } = await start(() => {});
    expect(await firstValueFrom(client.send('echo-metadata', 'plain'))).toEqual({
      data: 'plain',
      metadata: {},
    });
    const packets: unknown[] = [];
    client.setOnDispatchHook((packet) => {
      packets.push([packet.pattern, packet.data]);
      packet.metadata = { 'x-request-id': 'trace' };
    });
    expect(await firstValueFrom(client.send('echo-metadata', { orderId: 7 }))).toEqual({
      data: { orderId: 7 },
      metadata: { 'x-request-id': 'trace' },
    });
    client.emit('record-metadata', {});
    expect(await called.until(1)).toEqual(['{"x-request-id":"trace"}']);
    expect(packets).toEqual([
      ['echo-metadata', { orderId: 7 }],
      ['record-metadata', {}],
    ]);
    await close();
  });

  it('removes the listeners for signals of its microservice when it closes', async () => {
    const before = process.listenerCount('SIGTERM');
    const { close } = await start((microservice) => void microservice.enableShutdownHooks(['SIGTERM']));
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    await close();
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});

describe('a client whose broker can not be had', () => {
  it('fails, and does not hang', async () => {
    const client = new QueueClient({ url: 'file:/proc/nestmq' });
    await expect(firstValueFrom(client.send('sum', [1]))).rejects.toThrow("can't be made");
    await expect(firstValueFrom(client.emit('notification', 1))).rejects.toThrow("can't be made");
    await client.close();
  });
});
