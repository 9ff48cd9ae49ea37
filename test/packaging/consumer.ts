/**
 * The application that is installed from tarballs: once as an ES module and once as CommonJS, on each version of Nest. It is a
 * text here since it is compiled there, against what is installed there.
 */
export const CONSUMER = `import 'reflect-metadata';
import { Controller, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxy, ClientsModule, Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';
import { firstValueFrom, from, lastValueFrom, toArray } from 'rxjs';

const seen: unknown[] = [];
const hooks = { start: 0, end: 0 };
let settled!: () => void;

@Controller()
class Orders {
  constructor(
    private readonly client: QueueClient,
    @Inject('OTHER') private readonly other: ClientProxy,
  ) {}
  @EventPattern<string>('order.*', { retry: { attempts: 2, delay: 0 } })
  placed(@Payload('id') id: number, @Ctx() context: QueueContext): void {
    seen.push([context.getPattern(), id, context.attempt]);
    if (context.attempt === 1) throw new Error('not yet');
    settled();
  }
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
  @MessagePattern({ cmd: 'relay' })
  relay(@Payload() numbers: number[]): unknown {
    return this.other.send('sum', numbers);
  }
  @MessagePattern('several')
  several(): unknown {
    return from([1, 2, 3]);
  }
  @MessagePattern('refused')
  refused(): never {
    throw new RpcException({ code: 'NO_FUNDS' });
  }
  emitted(): unknown {
    return this.client.emit('order.placed', { id: 7 });
  }
}

async function run(url: string): Promise<unknown> {
  seen.length = 0;
  hooks.start = hooks.end = 0;
  const done = new Promise<void>((resolve) => {
    settled = resolve;
  });
  @Module({
    imports: [
      QueueModule.forRoot({ url, queue: 'orders' }),
      ClientsModule.register([{ name: 'OTHER', customClass: QueueClient, options: { url } }]),
    ],
    controllers: [Orders],
  })
  class AppModule {}
  const app = await NestFactory.createMicroservice(AppModule, {
    useFactory: (server: QueueServer) => ({ strategy: server }),
    inject: [QueueServer],
    logger: false,
  });
  const server = app.get(QueueServer);
  server.setOnProcessingStartHook((_id, _context, begin) => {
    hooks.start++;
    setImmediate(() => void begin());
  });
  server.setOnProcessingEndHook(() => void hooks.end++);
  await app.listen();
  const client = app.get(QueueClient);
  await lastValueFrom(client.emit('order.placed', { id: 7 }), { defaultValue: undefined });
  await done;
  const replies = {
    sum: await firstValueFrom(client.send('sum', [1, 2, 3])),
    relayed: await firstValueFrom(client.send({ cmd: 'relay' }, [4, 5])),
    several: await firstValueFrom(client.send('several', {}).pipe(toArray())),
    refused: await firstValueFrom(client.send('refused', {})).catch((error: unknown) => error),
    nobody: await firstValueFrom(client.send('nobody', {})).catch((error: Error) => error.name),
  };
  await app.close();
  return { seen: [...seen], hooks: { ...hooks }, ...replies };
}

async function main(): Promise<void> {
  const broker = await TestBroker.start();
  const results = { file: await run(process.argv[2] as string), memory: await run(broker.url) };
  await broker.stop();
  // Optional packages are not installed here.
  const amqp = await new QueueClient({ url: 'amqp://127.0.0.1' }).connect().catch((error: Error) => error.message);
  console.log(JSON.stringify({ ...results, amqp }));
}
void main();
`;
