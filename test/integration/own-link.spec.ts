import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import { type LinkFactory, openQueueLink, QueueClient, QueueModule } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { SILENT } from '../../packages/transport/src/links/contract/contract-support.js';
import { startApp } from './app.js';

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  placed(): void {}
  @MessagePattern('sum')
  sum(@Payload() numbers: readonly number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
}

const toClose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
});

/** Each opening is noted. */
function noting(): { opened: string[]; link: LinkFactory } {
  const opened: string[] = [];
  const link: LinkFactory = async (init) => {
    opened.push(init.signal === undefined ? 'without a signal' : 'with a signal');
    return openQueueLink({ url: 'memory:own-link' }, init);
  };
  return { opened, link };
}

describe('an application with a link of another make', () => {
  it('opens one for its server and one for its client, and works over them', async () => {
    const { opened, link } = noting();
    const { app, client } = await startApp({ link }, { controllers: [Orders] });
    toClose.push(() => app.close());
    expect(await firstValueFrom(client.send('sum', [1, 2]))).toBe(3);
    expect(opened).toEqual(['with a signal', 'with a signal']);
  });

  it.each([[undefined], [{}], ['a link']])('says what is missing when it is given none: %j', async (made) => {
    const client = new QueueClient({ link: async () => made as never });
    await expect(client.connect()).rejects.toThrow("What 'link' has opened has no method 'declareExchange'");
  });

  it('starts when the link can be opened, and says why when not', async () => {
    const client = new QueueClient({
      link: async () => {
        throw new Error('The cloud is away.');
      },
    });
    await expect(client.connect()).rejects.toThrow('The cloud is away.');
  });

  it('is tested by the harness, which opens none of them', async () => {
    const { opened, link } = noting();
    const imports = [QueueModule.forRoot({ link, queue: 'orders' })];
    const builder = Test.createTestingModule({ imports, controllers: [Orders] }).setLogger(false as never);
    const harness = await QueueTestHarness.start(builder);
    toClose.push(() => harness.close());
    await harness.emit('order.placed', { id: 7 });
    expect((await harness.consumed('order.placed')).data).toEqual({ id: 7 });
    expect(opened).toEqual([]);
  });
});

describe('a link that is opened without an application', () => {
  it('is the one of its options', async () => {
    const link = await openQueueLink({ url: 'memory:by-hand' }, { listener: SILENT });
    toClose.push(() => link.close());
    await link.declareQueue('q');
    expect(await link.queueState('q')).toMatchObject({ name: 'q', ready: 0 });
  });

  it('is refused for options that can not be meant', async () => {
    const opening = openQueueLink({ url: 'redis://h' }, { listener: SILENT });
    await expect(opening).rejects.toThrow("'url' is 'redis://h'.");
  });
});
