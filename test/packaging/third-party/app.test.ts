import 'reflect-metadata';
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { MemoryStore } from '@nestmq/broker';
import { QueueClient, QueueModule, type QueueOptions, QueueServer } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { counts, countingLink, countingStore } from './counting.js';

/** Resolves with what the handler of an application with these options got. */
async function handledBy(options: QueueOptions): Promise<unknown> {
  let handled!: (data: unknown) => void;
  const got = new Promise<unknown>((resolve) => {
    handled = resolve;
  });
  @Controller()
  class Orders {
    @EventPattern('order.placed')
    placed(@Payload() order: unknown): void {
      handled(order);
    }
  }
  @Module({ imports: [QueueModule.forRoot(options)], controllers: [Orders] })
  class AppModule {}
  const app = await NestFactory.createMicroservice(AppModule, {
    useFactory: (server: QueueServer) => ({ strategy: server }),
    inject: [QueueServer],
    logger: false,
  });
  await app.listen();
  await lastValueFrom(app.get(QueueClient).emit('order.placed', { id: 7 }), { defaultValue: undefined });
  const data = await got;
  await app.close();
  return data;
}

void it('an application runs over a link of another make', async () => {
  assert.deepEqual(await handledBy({ link: countingLink('application', false) }), { id: 7 });
  assert.ok((counts.get('publish') ?? 0) > 0);
});

void it('an application runs on a store of another make', async () => {
  const store = () => countingStore(new MemoryStore(), false);
  assert.deepEqual(await handledBy({ url: 'memory:own-store', broker: { store } }), { id: 7 });
  assert.ok((counts.get('settle') ?? 0) > 0);
});
