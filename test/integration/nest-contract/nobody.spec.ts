import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { MessageProperties } from '@nestmq/broker';
import { EVENTS_EXCHANGE, type Link, QueueClient, REQUESTS_EXCHANGE } from '@nestmq/transport';
import { firstValueFrom, type Observable, of, timer } from 'rxjs';
import { concatMap } from 'rxjs/operators';
import { Collector, type StartedApp, startApp } from '../app.js';
import { depth, HOMES, type Home, take } from '../homes.js';

const handled = new Collector<unknown>();
let release = (): void => {};

@Controller()
class Orders {
  @MessagePattern('get')
  get(@Payload() data: unknown): unknown {
    handled.add(data);
    return data;
  }
  @MessagePattern('wait')
  async wait(@Payload() data: unknown): Promise<unknown> {
    handled.add(data);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return data;
  }
  @MessagePattern('stream')
  stream(): Observable<number> {
    return of(1, 2, 3).pipe(concatMap((value) => timer(1).pipe(concatMap(() => of(value)))));
  }
  @EventPattern('throws.nothing', { retry: { attempts: 1 } })
  nothing(_data: unknown): void {
    // oxlint-disable-next-line typescript/only-throw-error -- As careless code does.
    throw undefined;
  }
}

describe.each(HOMES)('messages that nobody waits for, or nobody handles, on %s', (_scheme, makeHome) => {
  let home: Home;
  let started: StartedApp;
  beforeEach(async () => {
    handled.items.length = 0;
    home = await makeHome();
    started = await startApp({ url: home.url, queue: 'orders' }, { controllers: [Orders] });
  });
  afterEach(async () => {
    await started.app.close();
    await home.remove();
  });

  function publish(exchange: string, routingKey: string, properties: MessageProperties): Promise<void> {
    return new Promise((resolve, reject) => {
      const message = { exchange, routingKey, properties, body: Buffer.from('{"n":1}') };
      started.server
        .unwrap<Link>()
        .publish(message, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }
  const bind = (exchange: string, key: string): Promise<void> =>
    started.server.unwrap<Link>().bindQueue('orders', exchange, key);
  const expectEmpty = async (): Promise<void> => {
    await started.server.drain();
    expect([await depth(started.server, 'orders'), await depth(started.server, 'orders.dead')]).toEqual([
      0, 0,
    ]);
  };

  it('an event of an unknown pattern is dead-lettered', async () => {
    await bind(EVENTS_EXCHANGE, 'unknown');
    await publish(EVENTS_EXCHANGE, 'unknown', {});
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter).toMatchObject({ data: { n: 1 }, headers: { 'x-nestmq-reason': 'no-handler' } });
  });

  it('a request of an unknown pattern is answered with what Nest says', async () => {
    await bind(REQUESTS_EXCHANGE, 'unknown');
    const error = await firstValueFrom(started.client.send('unknown', 1)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: 'There is no matching message handler defined in the remote service.',
    });
    await expectEmpty();
  });

  it('a request of an unknown pattern that names nobody to answer is dead-lettered', async () => {
    await bind(REQUESTS_EXCHANGE, 'unknown');
    await publish(REQUESTS_EXCHANGE, 'unknown', {});
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter).toMatchObject({ data: { n: 1 }, headers: { 'x-nestmq-reason': 'no-handler' } });
  });

  it('a request that names nobody to answer, or somebody who is not there, is handled', async () => {
    await publish(REQUESTS_EXCHANGE, 'get', {});
    await publish(REQUESTS_EXCHANGE, 'get', { replyTo: 'nobody', correlationId: 'x' });
    await publish(REQUESTS_EXCHANGE, 'get', { replyTo: 'nobody' });
    expect(await handled.until(3)).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }]);
    expect(await firstValueFrom(started.client.send('get', 'still'))).toBe('still');
    await expectEmpty();
  });

  it('an answer to a caller who has left is nobody’s loss', async () => {
    const leaver = new QueueClient({ url: home.url });
    const answer = firstValueFrom(leaver.send('wait', 1)).catch((error: Error) => error.name);
    await handled.until(1);
    await leaver.close();
    expect(await answer).toBe('QueueClosedException');
    release();
    expect(await firstValueFrom(started.client.send('get', 2))).toBe(2);
    await expectEmpty();
  });

  it('answers to a caller who has enough are dropped, and others get theirs', async () => {
    expect(await firstValueFrom(started.client.send('stream', {}))).toBe(1);
    expect(await firstValueFrom(started.client.send('get', 2))).toBe(2);
    await expectEmpty();
  });

  it('a handler that throws nothing has failed as well', async () => {
    started.client.emit('throws.nothing', { n: 1 });
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter).toMatchObject({ data: { n: 1 }, headers: { 'x-nestmq-reason': 'attempts' } });
  });
});
