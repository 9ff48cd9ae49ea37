import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Logger } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { TestBroker } from '@nestmq/testing';
import {
  type Link,
  QueueClient,
  type QueueOptions,
  QueueRecord,
  QueueTimeoutException,
  RemoteException,
} from '@nestmq/transport';
import { concat, firstValueFrom, from, lastValueFrom, NEVER, of, toArray } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

class OutOfStock extends RpcException {
  readonly code = 'NO_STOCK';
  readonly data: unknown;
  constructor(sku: string) {
    super(`no ${sku} left`);
    this.data = { sku };
  }
}

const events = new Collector<unknown>();
let torndown: () => void = () => {};

@Controller()
class Orders {
  @MessagePattern('never')
  never(): unknown {
    return NEVER;
  }
  @MessagePattern('once')
  once(): unknown {
    return concat(of('first'), NEVER);
  }
  @MessagePattern('several')
  several(@Payload() count: number): unknown {
    return from(Array.from({ length: count }, (_, i) => 'x'.repeat(i * 100)));
  }
  @MessagePattern('stock')
  stock(): never {
    throw new OutOfStock('BOOK-17');
  }
  @MessagePattern('wrapped')
  wrapped(): never {
    throw new RpcException(new TypeError('not a number'));
  }
  @EventPattern('order.placed')
  placed(@Payload() data: unknown): void {
    events.add(data);
  }
}

describe('a client', () => {
  let clock: ManualClock;
  let started: StartedApp;
  let client: QueueClient;
  let options: QueueOptions;
  const start = async (more: Partial<QueueOptions> = {}): Promise<void> => {
    options = { url: 'memory:client', queue: 'orders', gracePeriod: 0, broker: { clock }, ...more };
    started = await startApp(options, { controllers: [Orders] });
    client = started.client;
  };
  beforeEach(() => {
    clock = new ManualClock();
    events.items.length = 0;
  });
  afterEach(async () => {
    // A manual clock does not end a grace period by itself.
    const closed = started.app.close();
    const timer = setInterval(() => clock.advance(1), 1);
    await closed;
    clearInterval(timer);
  });

  describe('that waits for an answer', () => {
    it('waits for requestTimeout, a minute if nothing else is said', async () => {
      await start();
      const [answer] = await Promise.allSettled([firstValueFrom(client.send('never', 1)), elapsed(60_000)]);
      expect(answer).toEqual({ status: 'rejected', reason: new QueueTimeoutException('never', 60_000) });
    });

    it('waits as long as the record says', async () => {
      await start({ requestTimeout: '1h' });
      const record = new QueueRecord(1, { timeout: '2s' });
      const [answer] = await Promise.allSettled([
        firstValueFrom(client.send('never', record)),
        elapsed(2000),
      ]);
      expect(answer).toMatchObject({
        reason: {
          message: expect.stringMatching(
            /^No answer to 'never' within 2000 ms\. The request may have been handled, or may still be\./,
          ),
        },
      });
    });

    it('waits anew after each value', async () => {
      await start({ requestTimeout: 1000 });
      const values: unknown[] = [];
      const ended = new Promise((resolve) => {
        client.send('once', 1).subscribe({
          next: (value) => {
            values.push(value);
            clock.advance(999);
            queueMicrotask(() => clock.advance(1000));
          },
          error: resolve,
        });
      });
      expect(await ended).toBeInstanceOf(QueueTimeoutException);
      expect(values).toEqual(['first']);
    });

    /** Once a request that was made before has been handed over. */
    async function elapsed(ms: number): Promise<void> {
      await firstValueFrom(client.send('several', 1));
      clock.advance(ms);
    }
  });

  it('that unsubscribes is told nothing more, and one that has not gone out yet does not go', async () => {
    await start();
    const other = new QueueClient(options);
    const told: unknown[] = [];
    const tell = (what: unknown): void => void told.push(what);
    const subscription = other
      .send('several', 3)
      .subscribe({ next: tell, error: tell, complete: () => tell('completed') });
    subscription.unsubscribe();
    await firstValueFrom(other.send('several', 1));
    clock.advance(120_000);
    expect(told).toEqual([]);
    await other.close();
  });

  it('gets a stream in order, though some of it must be decompressed', async () => {
    await start({ compression: { encoding: 'gzip', threshold: 500 } });
    const values = await lastValueFrom(client.send('several', 40).pipe(toArray()));
    expect(values.map((value) => String(value).length)).toEqual(
      Array.from({ length: 40 }, (_, i) => i * 100),
    );
  });

  it('sends events in the order of its calls: before it is connected, and though some are compressed', async () => {
    await start({ compression: { encoding: 'gzip', threshold: 500 } });
    const other = new QueueClient(options);
    const link = started.server.unwrap<Link>();
    await link.declareQueue('audit');
    await link.bindQueue('audit', 'nestmq.events', 'order.placed');
    const order = Array.from({ length: 60 }, (_, i) => String(i));
    const emit = async (id: string): Promise<unknown> => {
      const data = 'x'.repeat(Number(id) % 3 === 0 ? 5000 : 5);
      return firstValueFrom(other.emit('order.placed', new QueueRecord(data, { correlationId: id })));
    };
    await Promise.all([
      ...order.slice(0, 30).map(emit),
      other.connect().then(async () => Promise.all(order.slice(30).map(emit))),
    ]);
    const messages = await link.peek('audit', 60);
    expect(messages.map(({ properties }) => properties.correlationId)).toEqual(order);
    expect(messages.map(({ properties }) => properties.contentEncoding ?? '')).toEqual(
      order.map((id) => (Number(id) % 3 === 0 ? 'gzip' : '')),
    );
    await other.close();
  });

  it('gets Errors of its handlers as Errors', async () => {
    await start();
    const error = await firstValueFrom(client.send('stock', 1)).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(RemoteException);
    expect(error).toMatchObject({
      name: 'OutOfStock',
      message: 'no BOOK-17 left',
      code: 'NO_STOCK',
      data: { sku: 'BOOK-17' },
    });
    await expect(firstValueFrom(client.send('wrapped', 1))).rejects.toMatchObject({
      name: 'TypeError',
      message: 'not a number',
    });
  });

  it('fails a request whose answer can not be read', async () => {
    await start();
    const link = started.server.unwrap<Link>();
    await link.declareQueue('raw');
    await link.bindQueue('raw', 'nestmq.requests', 'raw.#');
    await link.consume('raw', {
      prefetchCount: 0,
      noAck: true,
      onCancel: () => {},
      onDelivery: ({ message }) => {
        const { replyTo = '', correlationId = '' } = message.properties;
        const encoding = message.routingKey === 'raw.gzip' ? { contentEncoding: 'gzip' } : {};
        const properties = { correlationId, ...encoding };
        link.publish({ exchange: '', routingKey: replyTo, properties, body: Buffer.from('{') }, () => {});
        link.publish({ exchange: '', routingKey: replyTo, properties, body: Buffer.from('1') }, () => {});
      },
    });
    for (const pattern of ['raw.json', 'raw.gzip']) {
      await expect(firstValueFrom(client.send(pattern, 1))).rejects.toMatchObject({
        name: 'UnreadableBodyException',
      });
    }
  });

  it('refuses null as Nest does, and a request with the correlation id of another', async () => {
    await start();
    for (const call of [
      client.emit(null, 1),
      client.emit('a', null),
      client.send(undefined, 1),
      client.send('a', undefined),
    ])
      await expect(firstValueFrom(call)).rejects.toThrow('invalid data or message pattern');
    const record = new QueueRecord(1, { correlationId: 'mine' });
    const first = client.send('never', record).subscribe({ error: () => {} });
    await expect(firstValueFrom(client.send('never', record))).rejects.toThrow("'mine' is under way");
    first.unsubscribe();
  });

  it('tells its status and its events, also to those who asked before it was connected', async () => {
    await start();
    const other = new QueueClient(options);
    const told: string[] = [];
    other.on('connect', () => {
      told.push('connect');
      throw new Error('of the listener');
    });
    other.status.subscribe((status) => void told.push(status));
    expect(() => other.unwrap()).toThrow('Not initialized');
    await other.connect();
    expect(other.unwrap<Link>()).toBe(await other.connect());
    await other.close();
    await other.close();
    expect(told).toEqual(['connected', 'connect', 'disconnected']);
    await firstValueFrom(other.emit('order.placed', 1));
    expect(told).toEqual(['connected', 'connect', 'disconnected', 'connected', 'connect']);
    await other.close();
  });

  it('that is closed while it connects fails what waits for that', async () => {
    await start();
    const other = new QueueClient(options);
    const waiting = Promise.allSettled([
      other.connect(),
      firstValueFrom(other.emit('order.placed', 1)),
      firstValueFrom(other.send('never', 1)),
    ]);
    await other.close();
    const closed = expect.objectContaining({ name: 'QueueClosedException' });
    expect(await waiting).toEqual(Array.from({ length: 3 }, () => ({ status: 'rejected', reason: closed })));
  });

  it('logs an event that could not be sent only if nobody observes', async () => {
    await start();
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => {});
    await expect(firstValueFrom(client.emit('order.placed', 1n))).rejects.toThrow('BigInt');
    expect(error).not.toHaveBeenCalled();
    client.emit('order.placed', 1n);
    await firstValueFrom(client.emit('order.placed', 1));
    expect(error).toHaveBeenCalledWith(expect.stringMatching(/^'order\.placed' was not emitted: .*BigInt/));
    error.mockRestore();
  });

  it('lets a subclass read errors and answers in its own way', async () => {
    await start();
    class Own extends QueueClient {
      protected override serializeError(err: { message: string }): Error {
        return new Error(`own: ${err.message}`);
      }
      protected override serializeResponse(response: unknown): unknown {
        return ['own', response];
      }
    }
    const own = new Own(options);
    expect(await firstValueFrom(own.send('several', 1))).toEqual(['own', '']);
    await expect(firstValueFrom(own.send('stock', 1))).rejects.toThrow('own: no BOOK-17 left');
    await own.close();
  });
});

describe('a caller who has left', () => {
  it('does not harm the service: the answer is dropped', async () => {
    const broker = await TestBroker.start();
    let asked: () => void = () => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    @Controller()
    class Slow {
      @MessagePattern('slow')
      async slow(): Promise<string> {
        asked();
        await new Promise<void>((resolve) => {
          torndown = resolve;
        });
        return 'late';
      }
      @MessagePattern('quick')
      quick(): string {
        return 'ok';
      }
    }
    const { app, client } = await startApp({ url: broker.url, queue: 'slow' }, { controllers: [Slow] });
    const caller = new QueueClient({ url: broker.url });
    caller.send('slow', 1).subscribe({ error: () => {} });
    await isAsked;
    await caller.close();
    torndown();
    expect(await firstValueFrom(client.send('quick', 1))).toBe('ok');
    await app.close();
    expect(broker.messageCount('slow')).toBe(0);
    expect(broker.messageCount('slow.dead')).toBe(0);
    await broker.stop();
  });
});
