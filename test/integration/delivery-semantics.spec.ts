import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { type Link, QueueClient, QueueContext, type QueueOptions } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

interface Call {
  readonly instance: string;
  readonly data: number;
  readonly attempt: number;
  readonly redelivered: boolean;
}

const calls = new Collector<Call>();

/** An instance that never ends what it begins, or one that does at once. */
function instance(name: string, isStuck: boolean) {
  @Controller()
  class Numbers {
    @EventPattern<string>('number.event')
    async event(@Payload() data: number, @Ctx() { attempt, redelivered }: QueueContext): Promise<void> {
      calls.add({ instance: name, data, attempt, redelivered });
      if (isStuck) await new Promise(() => {});
    }
    @MessagePattern('number.double')
    async double(@Payload() data: number, @Ctx() { attempt, redelivered }: QueueContext): Promise<number> {
      calls.add({ instance: name, data, attempt, redelivered });
      if (isStuck) await new Promise(() => {});
      return data * 2;
    }
  }
  return Numbers;
}

describe('an instance that is gone, without a word, while it handles', () => {
  let broker: TestBroker;
  let options: QueueOptions;
  let client: QueueClient;
  let apps: StartedApp[];
  beforeEach(async () => {
    calls.items.length = 0;
    broker = await TestBroker.start({ listen: true });
    options = { url: broker.amqpUrl, queue: 'numbers', gracePeriod: 1 };
    client = new QueueClient(options);
    apps = [await startApp(options, { controllers: [instance('first', true)] })];
  });
  afterEach(async () => {
    await client.close();
    await Promise.all(apps.map(({ app }) => app.close()));
    await broker.stop();
  });

  async function replaceFirst(): Promise<void> {
    await calls.until(1);
    apps.push(await startApp(options, { controllers: [instance('second', false)] }));
    await apps[0]?.server.unwrap<Link>().close();
  }

  it('leaves its event to another one, and no attempt is used up', async () => {
    client.emit('number.event', 7);
    await replaceFirst();
    expect(await calls.until(2)).toEqual([
      { instance: 'first', data: 7, attempt: 1, redelivered: false },
      { instance: 'second', data: 7, attempt: 1, redelivered: true },
    ]);
  });

  it('leaves its request to another one over AMQP, whose answer the caller gets', async () => {
    const answer = firstValueFrom(client.send<number>('number.double', 21));
    await replaceFirst();
    expect(await answer).toBe(42);
    expect(calls.items.map((call) => [call.instance, call.redelivered])).toEqual([
      ['first', false],
      ['second', true],
    ]);
  });
});
