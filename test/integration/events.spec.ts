import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import type { Message } from '@nestmq/broker';
import { QueueContext } from '@nestmq/transport';
import { lastValueFrom, of, throwError } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

let started: StartedApp | undefined;
afterEach(async () => {
  await started?.app.close();
  started = undefined;
});

describe('an event', () => {
  it('reaches the handlers whose patterns match, wildcards in any place included', async () => {
    const seen = new Collector<string>();
    @Controller()
    class Orders {
      @EventPattern<string>('order.placed')
      exact(@Payload() data: number, @Ctx() context: QueueContext): void {
        seen.add(`exact ${data} ${context.getPattern()}`);
      }
      @EventPattern('order.*')
      star(@Payload() data: number): void {
        seen.add(`star ${data}`);
      }
      @EventPattern('#.eu')
      hash(@Payload() data: number): void {
        seen.add(`hash ${data}`);
      }
    }
    started = await startApp({ url: 'memory:wild' }, { controllers: [Orders] });
    await lastValueFrom(started.client.emit('order.placed', 1), { defaultValue: undefined });
    await lastValueFrom(started.client.emit('order.placed.eu', 2), { defaultValue: undefined });
    await lastValueFrom(started.client.emit('order.gone', 3), { defaultValue: undefined });
    expect((await seen.until(4)).toSorted()).toEqual(['exact 1 order.placed', 'hash 2', 'star 1', 'star 3']);
  });

  it('is redelivered up to its attempts when the handler fails, then dead-lettered with the error', async () => {
    const attempts = new Collector<[number, boolean]>();
    const dead = new Collector<Message>();
    @Controller()
    class Orders {
      @EventPattern<string>('order.placed', { retry: { attempts: 3 } })
      fail(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
        attempts.add([context.attempt, context.redelivered]);
        throw new RangeError('no such order');
      }
    }
    started = await startApp({ url: 'memory:dead', queue: 'orders' }, { controllers: [Orders] });
    const link = started.server.unwrap<import('@nestmq/transport').Link>();
    await link.consume('orders.dead', {
      prefetchCount: 0,
      noAck: true,
      onCancel: () => {},
      onDelivery: ({ message }) => dead.add(message),
    });
    started.client.emit('order.placed', { id: 7 });
    const [letter] = await dead.until(1);
    expect(attempts.items).toEqual([
      [1, false],
      [2, true],
      [3, true],
    ]);
    expect(letter?.properties.headers).toMatchObject({
      'x-nestmq-reason': 'attempts',
      'x-nestmq-error-name': 'RangeError',
      'x-nestmq-error-message': 'no such order',
      'x-nestmq-attempts': 3,
      'x-nestmq-queue': 'orders',
      'x-nestmq-routing-key': 'order.placed',
    });
    expect(JSON.parse(String(letter?.body))).toEqual({ id: 7 });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('x');
      },
    ],
    ['rejects', () => Promise.reject(new Error('x'))],
    ['returns a stream that fails', () => throwError(() => new Error('x'))],
  ])('fails when its handler %s', async (_what, fail) => {
    const attempts = new Collector<number>();
    @Controller()
    class Orders {
      @EventPattern<string>('order.placed', { retry: { attempts: 2 } })
      handle(@Payload() _data: unknown, @Ctx() context: QueueContext): unknown {
        attempts.add(context.attempt);
        return context.attempt === 1 ? fail() : of(1, 2, 3);
      }
    }
    started = await startApp({ url: 'memory:fails' }, { controllers: [Orders] });
    started.client.emit('order.placed', 1);
    expect(await attempts.until(2)).toEqual([1, 2]);
  });
});
