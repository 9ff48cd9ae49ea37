import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { type Link, NoHandlerException, QueueContext, QueueRecordBuilder } from '@nestmq/transport';
import { firstValueFrom, from, lastValueFrom, NEVER, toArray } from 'rxjs';
import { type StartedApp, startApp } from './app.js';

@Controller()
class Calculator {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
  @MessagePattern({ cmd: 'object' })
  object(@Payload() data: unknown): unknown {
    return { got: data };
  }
  @MessagePattern('several')
  several(@Payload() count: number): unknown {
    return from(Array.from({ length: count }, (_, i) => i));
  }
  @MessagePattern('nothing')
  nothing(_data: unknown): void {
    // A handler may have no answer.
  }
  @MessagePattern('refuse')
  refuse(_data: unknown): never {
    throw new RpcException({ code: 'NO_FUNDS', message: 'not enough' });
  }
  @MessagePattern('break')
  break(_data: unknown): never {
    throw new Error('a secret of the server');
  }
  @MessagePattern('never')
  never(_data: unknown): unknown {
    return NEVER;
  }
  @MessagePattern('wild.#')
  wild(@Payload() data: unknown): unknown {
    return ['wild', data];
  }
  @MessagePattern('wild.exact')
  exact(@Payload() data: unknown): unknown {
    return ['exact', data];
  }
  @MessagePattern<string>('expiration')
  expiration(@Payload() _data: unknown, @Ctx() context: QueueContext): unknown {
    const { expiration } = context.getMessage().properties;
    return expiration === undefined ? 'never' : Number(expiration);
  }
  @EventPattern('only.event')
  event(_data: unknown): void {
    // Not for requests.
  }
}

describe('a request', () => {
  let broker: TestBroker;
  let started: StartedApp;
  beforeEach(async () => {
    broker = await TestBroker.start();
    started = await startApp(
      { url: broker.url, queue: 'calculator', gracePeriod: 0 },
      { controllers: [Calculator] },
    );
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });

  it('is answered with the value of its handler', async () => {
    expect(await firstValueFrom(started.client.send('sum', [1, 2, 3]))).toBe(6);
    expect(await firstValueFrom(started.client.send({ cmd: 'object' }, 'x'))).toEqual({ got: 'x' });
  });

  it('is answered with each value of a stream, in order', async () => {
    const values = await firstValueFrom(started.client.send('several', 50).pipe(toArray()));
    expect(values).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('completes without a value when its handler returns none', async () => {
    expect(await lastValueFrom(started.client.send('nothing', 1), { defaultValue: 'none' })).toBe('none');
  });

  it('prefers the exact handler to a wildcard', async () => {
    expect(await firstValueFrom(started.client.send('wild.exact', 1))).toEqual(['exact', 1]);
    expect(await firstValueFrom(started.client.send('wild.a.b', 1))).toEqual(['wild', 1]);
  });

  it('fails with the RpcException of its handler, and with nothing more than that of another error', async () => {
    await expect(firstValueFrom(started.client.send('refuse', 1))).rejects.toEqual({
      code: 'NO_FUNDS',
      message: 'not enough',
    });
    await expect(firstValueFrom(started.client.send('break', 1))).rejects.toEqual({
      status: 'error',
      message: 'Internal server error',
    });
  });

  it('to nobody fails at once, also when an event handler has that pattern', async () => {
    await expect(firstValueFrom(started.client.send('nobody', 1))).rejects.toThrow(NoHandlerException);
    await expect(firstValueFrom(started.client.send('only.event', 1))).rejects.toThrow(
      "No service handles 'only.event'",
    );
  });

  it('that is not JSON is answered with an error, and its handler is not called', async () => {
    const link = started.server.unwrap<Link>();
    const replyTo = await link.declareOwnQueue();
    const reply = new Promise<string>((resolve) => {
      void link.consume(replyTo, {
        prefetchCount: 0,
        noAck: true,
        onCancel: () => {},
        onDelivery: ({ message }) => resolve(`${message.properties.type} ${message.body.toString()}`),
      });
    });
    link.publish(
      { exchange: 'nestmq.requests', routingKey: 'sum', properties: { replyTo }, body: Buffer.from('{') },
      () => {},
    );
    expect(await reply).toMatch(/^error .*The request can't be read/);
  });

  it('is not kept by the broker for longer than its caller waits', async () => {
    const ask = (record: QueueRecordBuilder): Promise<unknown> =>
      firstValueFrom(started.client.send('expiration', record.build()));
    const record = (): QueueRecordBuilder => new QueueRecordBuilder(1);
    for (const [expirationMs, ofIt] of [
      [await ask(record()), 60_000],
      [await ask(record().setTimeout('30s')), 30_000],
    ] as const) {
      expect(expirationMs).toBeGreaterThan(ofIt - 10_000);
      expect(expirationMs).toBeLessThanOrEqual(ofIt);
    }
    expect(await ask(record().setTimeout('30s').setExpiration('5m'))).toBe(300_000);
    expect(await ask(record().setTimeout(0))).toBe('never');
  });

  it('still awaited fails when the client closes', async () => {
    const answer = firstValueFrom(started.client.send('never', 1));
    await Promise.all([
      expect(answer).rejects.toThrow('The client was closed before the answer came'),
      started.client.connect().then(async () => started.client.close()),
    ]);
  });
});
