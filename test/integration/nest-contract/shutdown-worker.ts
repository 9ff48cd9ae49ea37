import {
  Controller,
  Injectable,
  Module,
  type OnModuleDestroy,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';

/**
 * An application in a process of its own: `DIRECTORY hybrid|standalone GRACE_PERIOD_MS`. It says what happens on stdout; its
 * handlers end when it is told 'release'.
 */
const [directory, kind, gracePeriod] = process.argv.slice(2) as [string, 'hybrid' | 'standalone', string];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let release!: () => void;
const released = new Promise<void>((resolve) => {
  release = resolve;
});
process.once('message', () => release());
// A parent that listens is no reason to stay.
process.channel?.unref();

@Injectable()
class Database implements OnModuleDestroy {
  open = true;
  onModuleDestroy(): void {
    this.open = false;
    say('database closed');
  }
}
@Module({ providers: [Database], exports: [Database] })
class DatabaseModule {}

@Controller()
class Worker implements OnApplicationShutdown {
  constructor(
    private readonly database: Database,
    private readonly client: QueueClient,
  ) {}
  @EventPattern<string>('work')
  async work(@Payload() n: number, @Ctx() context: QueueContext): Promise<void> {
    say(`began ${n}`);
    context.signal.addEventListener('abort', () => say(`aborted ${n}`));
    await released;
    await lastValueFrom(this.client.emit('worked', n), { defaultValue: undefined });
    say(`handled ${n}, database ${this.database.open ? 'open' : 'closed'}`);
  }
  @EventPattern('worked', { queue: 'worked' })
  worked(_data: unknown): void {
    // The queue that 'worked' goes to.
  }
  onApplicationShutdown(signal?: string): void {
    say(`shutdown ${signal}`);
  }
}

@Module({
  imports: [
    QueueModule.forRoot({
      url: `file:${directory}`,
      queue: 'work',
      prefetchCount: 2,
      gracePeriod: Number(gracePeriod),
    }),
    DatabaseModule,
  ],
  controllers: [Worker],
})
class AppModule {}

async function start(): Promise<void> {
  if (kind === 'standalone') {
    const app = await NestFactory.createMicroservice(AppModule, {
      useFactory: (server: QueueServer) => ({ strategy: server }),
      inject: [QueueServer],
      logger: false,
    });
    app.get(QueueServer).status.subscribe(say);
    app.enableShutdownHooks();
    await app.listen();
    return emit(app.get(QueueClient));
  }
  const app = await NestFactory.create(AppModule, { logger: false });
  app.get(QueueServer).status.subscribe(say);
  app.connectMicroservice({ strategy: app.get(QueueServer) });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  await app.startAllMicroservices();
  return emit(app.get(QueueClient));
}

async function emit(client: QueueClient): Promise<void> {
  for (const n of [1, 2, 3, 4]) await lastValueFrom(client.emit('work', n), { defaultValue: undefined });
}

await start();
say('emitted');
