import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueContext } from '@nestmq/transport';
import { finalize, firstValueFrom, from, lastValueFrom, type Observable, toArray } from 'rxjs';
import { Collector, startApp } from '../app.js';

const seen = new Collector<unknown>();

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
