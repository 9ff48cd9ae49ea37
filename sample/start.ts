import { type DynamicModule, type INestMicroservice, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { QueueModule, type QueueOptions, QueueServer } from '@nestmq/transport';

@Module({})
class AppModule {
  static with(options: QueueOptions, controllers: Type[], providers: Type[]): DynamicModule {
    return { module: AppModule, imports: [QueueModule.forRoot(options)], controllers, providers };
  }
}

/**
 * An application without HTTP, with these handlers on this queue, that takes messages. It does not log: samples print what
 * happens.
 */
export async function startHandlers(
  options: QueueOptions,
  controllers: Type[],
  providers: Type[] = [],
): Promise<INestMicroservice> {
  const module = AppModule.with(options, controllers, providers);
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(module, {
    useFactory: (server: QueueServer) => ({ strategy: server }),
    inject: [QueueServer],
    logger: false,
  });
  app.enableShutdownHooks();
  await app.listen();
  return app;
}
