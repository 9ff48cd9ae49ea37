import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { type FileSystem, ManualClock, nodeFileSystem } from '@nestmq/broker';
import type { Link } from '@nestmq/transport';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp, temporaryDirectory } from './app.js';

const handled = new Collector<number>();

@Controller()
class Numbers {
  @EventPattern<string>('number')
  take(@Payload() data: number): void {
    handled.add(data);
  }
  @MessagePattern('double')
  double(@Payload() data: number): number {
    return data * 2;
  }
}

describe('when the disk is nearly full', () => {
  const clock = new ManualClock();
  let free = 0;
  let started: StartedApp;
  let directory: ReturnType<typeof temporaryDirectory>;

  beforeEach(async () => {
    handled.items.length = 0;
    directory = temporaryDirectory();
    free = 1000;
    const fileSystem: FileSystem = { ...nodeFileSystem, freeBytes: async () => free };
    const broker = { clock, fileSystem, diskFreeBytesMin: 100, settlementDelayMs: 0 };
    started = await startApp({ url: `file:${directory.path}`, broker }, { controllers: [Numbers] });
    await lastValueFrom(started.client.emit('number', 0));
    await handled.until(1);
    // The disk is asked after a quarter of the limit has been written.
    free = 99;
    await lastValueFrom(started.client.emit('number', 1));
    await handled.until(2);
    while (started.client.unwrap<Link>().blocked === undefined) await new Promise(setImmediate);
  });
  afterEach(async () => {
    await started.app.close();
    directory.remove();
  });

  const probe = { exchange: '', routingKey: 'nowhere', properties: {}, body: Buffer.alloc(0) };

  it('what is emitted and sent waits, in order, and goes on when there is room', async () => {
    const emitted = [2, 3, 4].map((data) => lastValueFrom(started.client.emit('number', data)));
    const doubled = firstValueFrom(started.client.send<number>('double', 21));
    const unheard = firstValueFrom(started.client.send('nobody', 1)).catch((error: Error) => error.name);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(handled.items).toEqual([0, 1]);
    free = 100;
    clock.advance(1000);
    await Promise.all(emitted);
    expect(await handled.until(5)).toEqual([0, 1, 2, 3, 4]);
    expect(await doubled).toBe(42);
    expect(await unheard).toBe('NoHandlerException');
  });

  it('more than a bounded number do not wait: they fail, and say why', async () => {
    const publish = (): void => started.client.unwrap<Link>().publish(probe, () => {});
    expect(() => {
      for (let count = 0; count <= 10_000; count++) publish();
    }).toThrow(
      expect.objectContaining({ code: 'BLOCKED', message: expect.stringContaining('99 bytes left') }),
    );
  });

  it('what waits as the application ends is told so', async () => {
    const waiting = lastValueFrom(started.client.emit('number', 2)).catch((error: Error) => error.message);
    await started.app.close();
    expect(await waiting).toMatch(/closed/);
    expect(handled.items).toEqual([0, 1]);
  });
});
