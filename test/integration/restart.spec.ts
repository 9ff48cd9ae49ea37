import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueContext } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Collector, startApp, temporaryDirectory } from './app.js';

const seen = new Collector<unknown>();

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  placed(@Payload() data: number, @Ctx() context: QueueContext): void {
    seen.add([data, context.redelivered]);
  }
}

@Controller()
class Stuck {
  @EventPattern('order.placed')
  placed(@Payload() data: number): Promise<void> {
    seen.add(data);
    return new Promise(() => {});
  }
}

describe('an application on file:', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  beforeEach(() => {
    seen.items.length = 0;
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  it('finds its messages again, in order, after it was closed in the middle of handling them', async () => {
    const url = `file:${directory.path}/mq`;
    const first = await startApp({ url, gracePeriod: 1, prefetchCount: 3 }, { controllers: [Stuck] });
    for (let i = 0; i < 10; i++) {
      await lastValueFrom(first.client.emit('order.placed', i), { defaultValue: undefined });
    }
    expect((await seen.until(3)).length).toBe(3);
    await first.app.close();
    seen.items.length = 0;
    const second = await startApp({ url }, { controllers: [Orders] });
    expect(await seen.until(10)).toEqual(Array.from({ length: 10 }, (_, i) => [i, true]));
    await second.app.close();
    seen.items.length = 0;
    const third = await startApp({ url }, { controllers: [Orders] });
    await lastValueFrom(third.client.emit('order.placed', 99), { defaultValue: undefined });
    expect(await seen.until(1)).toEqual([[99, false]]);
    await third.app.close();
  });
});
