import { type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientProxyFactory,
  type MicroserviceOptions,
  type RmqOptions,
  Transport,
} from '@nestjs/microservices';
import { QueueClient, type QueueOptions } from '@nestmq/transport';
import { startHandlers } from '../start.js';
import { StockController } from './stock.controller.js';

const QUEUE = 'stock';

const nestOptions = (url: string): RmqOptions => ({
  transport: Transport.RMQ,
  options: { urls: [url], queue: QUEUE, queueOptions: { durable: true } },
});

/** The queue is there, as Nest's transport has declared it: a classic one. */
const queueOptions = (url: string): QueueOptions => ({
  url,
  queue: QUEUE,
  retry: { delay: '20ms' },
  amqp: { queueType: 'classic' },
});

@Module({ controllers: [StockController] })
class StockModule {}

export const service = {
  before: async (url: string): Promise<INestMicroservice> => {
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(StockModule, {
      ...nestOptions(url),
      logger: false,
    });
    await app.listen();
    return app;
  },
  after: async (url: string): Promise<INestMicroservice> =>
    startHandlers(queueOptions(url), [StockController]),
};

/** Whoever gets it by `@Inject('STOCK')` sees a ClientProxy either way; in a module, `ClientsModule.register` takes the same. */
export const caller = {
  before: (url: string): ClientProxy => ClientProxyFactory.create(nestOptions(url)),
  after: (url: string): ClientProxy =>
    ClientProxyFactory.create({ customClass: QueueClient, options: queueOptions(url) }),
};
