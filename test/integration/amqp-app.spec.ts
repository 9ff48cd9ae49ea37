import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { createServer, type Server } from '@nestmq/broker';
import { QueueContext } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { startProxy, type TcpProxy } from '../peers/tcp-proxy.js';
import { Collector, startApp, type StartedApp } from './app.js';
import { FAST } from './link-homes.js';

let handled = new Collector<string>();
let asked = new Collector<string>();

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  place(@Payload() id: string): void {
    handled.add(id);
  }

  @EventPattern<string>('order.late', { retry: { attempts: 3, delay: 70, backoff: 'fixed', jitter: 0 } })
  late(@Payload() id: string, @Ctx() context: QueueContext): void {
    handled.add(`${id} ${context.attempt}`);
    if (context.attempt < 2) throw new Error('not yet');
  }

  @MessagePattern('order.total')
  total(lines: number[]): number {
    return lines.reduce((sum, line) => sum + line, 0);
  }

  @MessagePattern('order.never')
  async never(id: string): Promise<void> {
    asked.add(id);
    await new Promise(() => {});
  }
}

describe('an application over AMQP', () => {
  let server: Server;
  let proxy: TcpProxy;
  let started: StartedApp | undefined;
  const client = (): StartedApp['client'] => (started as StartedApp).client;
  beforeAll(async () => {
    server = await createServer({ port: 0 });
    proxy = await startProxy(server.port);
    const url = `amqp://127.0.0.1:${proxy.port}`;
    started = await startApp({ url, queue: 'orders', amqp: FAST, gracePeriod: 0 }, { controllers: [Orders] });
    handled = new Collector();
    asked = new Collector();
  });
  afterAll(async () => {
    await started?.app.close();
    await proxy.close();
    await server.close();
  });

  it('handles events and answers requests', async () => {
    await firstValueFrom(client().emit('order.placed', 'a'), { defaultValue: undefined });
    expect(await handled.until(1)).toEqual(['a']);
    expect(await firstValueFrom(client().send('order.total', [1, 2]))).toBe(3);
  });

  it('fails a request at once that nobody handles', async () => {
    await expect(firstValueFrom(client().send('order.unknown', 1))).rejects.toThrow('No service handles');
  });

  it('tries again what failed, after its pause', async () => {
    handled = new Collector();
    const start = performance.now();
    await firstValueFrom(client().emit('order.late', 'b'), { defaultValue: undefined });
    expect(await handled.until(2)).toEqual(['b 1', 'b 2']);
    expect(performance.now() - start).toBeGreaterThan(30);
  });

  it('goes on when its connections are cut, and fails the requests whose answers are lost', async () => {
    handled = new Collector();
    const lost = firstValueFrom(client().send('order.never', 'c')).catch((error: unknown) => error);
    await asked.until(1);
    proxy.cut();
    const emitted = firstValueFrom(client().emit('order.placed', 'd'), { defaultValue: undefined });
    expect(await lost).toBeInstanceOf(Error);
    await emitted;
    expect(await handled.until(1)).toEqual(['d']);
    expect(await firstValueFrom(client().send('order.total', [3, 4]))).toBe(7);
  });
});
