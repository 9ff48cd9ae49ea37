import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  type ExecutionContext,
  type INestApplication,
  type INestMicroservice,
  Injectable,
  Logger,
  type LoggerService,
  Module,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { ModulesContainer, NestFactory, SerializedGraph } from '@nestjs/core';
import { EventPattern, type MicroserviceOptions, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import {
  NoHandlerException,
  QueueClient,
  QueueContext,
  QueueModule,
  QueueServer,
  type QueueStatus,
} from '@nestmq/transport';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom, tap } from 'rxjs';
import { Collector } from '../app.js';

const seen = new Collector<unknown>();

@Controller()
class Orders {
  @EventPattern<string>('order.placed', { retry: { attempts: 7 } })
  placed(@Payload() data: unknown, @Ctx() context: QueueContext): void {
    seen.add([data, context.maxAttempts]);
  }
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }
}

class SaysNo {
  canActivate(): boolean {
    return false;
  }
}

describe("the contract of Nest's applications", () => {
  let broker: TestBroker;
  let app: INestApplication | INestMicroservice | undefined;
  beforeEach(async () => {
    seen.items.length = 0;
    broker = await TestBroker.start();
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
    await broker.stop();
    Logger.overrideLogger(false);
  });
  const rootModule = (): Type => {
    @Module({
      imports: [QueueModule.forRoot({ url: broker.url, queue: 'orders' })],
      controllers: [Orders],
    })
    class AppModule {}
    return AppModule;
  };
  /** Listens without HTTP; its module drains. */
  const standalone = async (): Promise<INestMicroservice> => {
    const created = await NestFactory.createMicroservice(rootModule(), {
      useFactory: (server: QueueServer) => ({ strategy: server }),
      inject: [QueueServer],
      logger: false,
    });
    await created.listen();
    return created;
  };
  const hybrid = async (options: object = {}): Promise<INestApplication> => {
    const created = await NestFactory.create(rootModule(), { logger: false, ...options });
    app = created;
    return created;
  };
  const echo = (client: QueueClient): Promise<unknown> => firstValueFrom(client.send('echo', 'x'));

  it('createMicroservice takes a strategy', async () => {
    const client = new QueueClient({ url: broker.url });
    @Module({ controllers: [Orders] })
    class AppModule {}
    const server = new QueueServer({ url: broker.url });
    const microservice = await NestFactory.createMicroservice(AppModule, { strategy: server, logger: false });
    app = microservice;
    const statuses: QueueStatus[] = [];
    microservice.status.subscribe((status) => statuses.push(status as QueueStatus));
    microservice.on('connect' as never, (() => seen.add('connected')) as never);
    await microservice.listen();
    expect(await echo(client)).toBe('x');
    expect(microservice.unwrap()).toBe(server.unwrap());
    expect(microservice.getTransportServer()).toBe(server);
    expect([statuses, seen.items]).toEqual([['connected'], ['connected']]);
    await client.close();
  });

  it('createMicroservice takes a factory: the server of QueueModule, so that what its module drains', async () => {
    app = await standalone();
    expect(await echo(app.get(QueueClient))).toBe('x');
    app.get(QueueClient).emit('order.placed', 1);
    expect(await seen.until(1)).toEqual([[1, 7]]);
  });

  it.each([
    [true, 0],
    [false, 1],
  ])('connectMicroservice with inheritAppConfig: %s', async (inheritAppConfig, handled) => {
    const created = await hybrid();
    created.useGlobalGuards(new SaysNo());
    created.connectMicroservice({ strategy: created.get(QueueServer) }, { inheritAppConfig });
    await created.init();
    await created.startAllMicroservices();
    const answer = echo(created.get(QueueClient)).then(
      () => 1,
      () => 0,
    );
    expect(await answer).toBe(handled);
  });

  it('connectMicroservice registers handlers before modules are initialised, so that what those emit is kept', async () => {
    const patterns = new Collector<string[]>();
    @Injectable()
    class Starter implements OnModuleInit {
      constructor(
        private readonly server: QueueServer,
        private readonly client: QueueClient,
      ) {}
      onModuleInit(): void {
        patterns.add([...this.server.getHandlers().keys()]);
        this.client.emit('order.placed', 'early');
      }
    }
    @Module({ imports: [rootModule()], providers: [Starter] })
    class Root {}
    const created = await NestFactory.create(Root, { logger: false });
    app = created;
    created.connectMicroservice({ strategy: created.get(QueueServer) });
    await created.init();
    await created.startAllMicroservices();
    expect(patterns.items).toEqual([['order.placed', 'echo']]);
    expect(await seen.until(1)).toEqual([['early', 7]]);
  });

  it('connectMicroservice with deferInitialization has its own enhancers and preRequest hooks', async () => {
    const created = await hybrid();
    const microservice = created.connectMicroservice<MicroserviceOptions>(
      { strategy: created.get(QueueServer) },
      { deferInitialization: true },
    );
    const calls: unknown[] = [];
    microservice.registerPreRequestHook((context: ExecutionContext, next) => {
      calls.push([context.getType(), context.switchToRpc().getContext<QueueContext>().getPattern()]);
      return next().pipe(tap(() => calls.push('answered')));
    });
    await created.init();
    await created.startAllMicroservices();
    expect(await echo(created.get(QueueClient))).toBe('x');
    expect(calls).toEqual([['rpc', 'echo'], 'answered']);
  });

  it('shows instrumentation its server, and the graph inspector its handlers with their extras', async () => {
    const created = await hybrid({ snapshot: true });
    const targets: unknown[] = [];
    created
      .get(ModulesContainer)
      .getRpcTargetRegistry()
      .subscribe((target) => targets.push(target));
    created.connectMicroservice({ strategy: created.get(QueueServer) });
    expect(targets).toEqual([created.get(QueueServer)]);
    const graph = created.get(SerializedGraph).toJSON() as unknown as {
      entrypoints: Record<string, { type: string; methodName: string; metadata: object }[]>;
    };
    const found = Object.values(graph.entrypoints).flat();
    expect(found.find(({ methodName }) => methodName === 'placed')).toMatchObject({
      type: 'microservice',
      metadata: { key: 'order.placed', isEventHandler: true, extras: { retry: { attempts: 7 } } },
    });
  });

  it('is inspected in preview mode without opening anything', async () => {
    const server = new QueueServer({ url: 'file:/proc/can-not-be-made' });
    const created = await NestFactory.createMicroservice(rootModule(), {
      strategy: server,
      preview: true,
      logger: false,
    });
    app = created;
    await created.init();
    expect([...server.getHandlers()]).toEqual([]);
    await expect(created.listen()).rejects.toThrow('preview mode');
  });

  it.each([true, false])(
    'flushes buffered logs when it listens, with autoFlushLogs: %s',
    async (autoFlushLogs) => {
      const lines: string[] = [];
      const logger: LoggerService = {
        log: (line: string) => lines.push(line),
        warn: (line: string) => lines.push(line),
        error: (line: string) => lines.push(line),
      };
      const server = new QueueServer({ url: broker.url });
      const created = await NestFactory.createMicroservice(rootModule(), {
        strategy: server,
        bufferLogs: true,
        autoFlushLogs,
        logger,
      } as never);
      app = created;
      await created.listen();
      expect(lines.some((line) => line.includes('Nest microservice successfully started'))).toBe(
        autoFlushLogs,
      );
      Logger.detachBuffer();
    },
  );

  it('rejects listen with what the strategy reports', async () => {
    const server = new QueueServer({ url: 'file:/proc/nestmq' });
    @Module({ controllers: [Orders] })
    class AppModule {}
    const microservice = await NestFactory.createMicroservice(AppModule, { strategy: server, logger: false });
    await expect(microservice.listen()).rejects.toThrow("The directory '/proc/nestmq' can't be made");
    await microservice.close();
  });

  it('an application context has the client alone: it sends, and closes', async () => {
    app = await standalone();
    @Module({ imports: [QueueModule.forRoot({ url: broker.url })] })
    class Sender {}
    const context = await NestFactory.createApplicationContext(Sender, { logger: false });
    expect(await echo(context.get(QueueClient))).toBe('x');
    await expect(firstValueFrom(context.get(QueueClient).send('nobody', 1))).rejects.toThrow(
      NoHandlerException,
    );
    await context.close();
    await expect(firstValueFrom(app.get(QueueClient).send('echo', 2))).resolves.toBe(2);
  });

  it('lets its classes be extended', async () => {
    const said: string[] = [];
    class Loud extends QueueServer {
      override addHandler(...args: Parameters<QueueServer['addHandler']>): void {
        said.push(String(args[0]));
        super.addHandler(...args);
      }
    }
    class Tagged extends QueueClient {
      protected override serializeResponse(response: unknown): unknown {
        return ['tagged', response];
      }
    }
    @Module({ controllers: [Orders] })
    class AppModule {}
    const strategy = new Loud({ url: broker.url });
    const microservice = await NestFactory.createMicroservice(AppModule, { strategy, logger: false });
    app = microservice;
    await microservice.listen();
    expect(said).toEqual(['order.placed', 'echo']);
    const client = new Tagged({ url: broker.url });
    expect(await echo(client)).toEqual(['tagged', 'x']);
    await client.close();
  });
});
