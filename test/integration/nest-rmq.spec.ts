import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, type INestApplication } from '@nestjs/common';
import {
  ClientRMQ,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  type RmqOptions,
  RpcException,
  ServerRMQ,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { TestBroker } from '@nestmq/testing';
import { NoHandlerException, QueueClient, QueueContext, QueueRecordBuilder } from '@nestmq/transport';
import { connect } from 'amqplib';
import { firstValueFrom, from, lastValueFrom, toArray } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

const events = new Collector<unknown>();

/** Runs on Nest's own RMQ transport, and on ours. */
@Controller()
class Orders {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
  @MessagePattern({ cmd: 'object', version: 2 })
  object(@Payload() data: unknown): unknown {
    return { got: data };
  }
  @MessagePattern('several')
  several(@Payload() count: number): unknown {
    return from(Array.from({ length: count }, (_, i) => i));
  }
  @MessagePattern('nothing')
  nothing(): void {
    // A handler may have no answer.
  }
  @MessagePattern('refuse')
  refuse(): never {
    throw new RpcException({ code: 'NO_FUNDS', message: 'not enough' });
  }
  @MessagePattern('break')
  break(): never {
    throw new Error('a secret of the server');
  }
  @EventPattern('order.placed')
  placed(@Payload() data: unknown): void {
    events.add(data);
  }
}

/** What Nest's server publishes by. */
interface ConfirmedChannel {
  publish(exchange: string, routingKey: string, body: Buffer): Promise<unknown>;
}

/** Over both transports the same: what a caller of a service sees. */
async function callAll(client: Pick<QueueClient, 'send'>): Promise<unknown> {
  const outcome = async (pattern: unknown, data: unknown): Promise<unknown> =>
    lastValueFrom(client.send(pattern, data).pipe(toArray())).catch((error: unknown) => ({ error }));
  return {
    sum: await outcome('sum', [1, 2, 3]),
    object: await outcome({ version: 2, cmd: 'object' }, { a: 'ü' }),
    several: await outcome('several', 20),
    nothing: await outcome('nothing', 1),
    refuse: await outcome('refuse', 1),
    break: await outcome('break', 1),
  };
}

const ANSWERS = {
  sum: [6],
  object: [{ got: { a: 'ü' } }],
  several: Array.from({ length: 20 }, (_, i) => i),
  nothing: [],
  refuse: { error: { code: 'NO_FUNDS', message: 'not enough' } },
  break: { error: { status: 'error', message: 'Internal server error' } },
};

/** Where our side is: in the process of the broker, or at the other end of a connection. */
const LINKS: [string, (broker: TestBroker) => string][] = [
  ['memory:', ({ url }) => url],
  ['amqp:', ({ amqpUrl }) => amqpUrl],
];

describe.each(LINKS)('a service that moves from Nest’s RMQ transport, over %s', (_scheme, urlOf) => {
  let broker: TestBroker;
  let options: NonNullable<RmqOptions['options']>;
  beforeEach(async () => {
    broker = await TestBroker.start({ listen: true });
    // Whoever comes first declares the queue, and over amqp: that is as a quorum queue.
    options = { urls: [broker.amqpUrl], queue: 'orders', queueOptions: { durable: true }, noAssert: true };
    events.items.length = 0;
  });
  afterEach(async () => broker.stop());

  describe('is called by a client that is still on it', () => {
    let started: StartedApp;
    let client: ClientRMQ;
    beforeEach(async () => {
      started = await startApp({ url: urlOf(broker), queue: 'orders' }, { controllers: [Orders] });
      client = new ClientRMQ(options);
    });
    afterEach(async () => {
      await client.close();
      await started.app.close();
    });

    it('and answers it as before', async () => {
      expect(await callAll(client)).toEqual(ANSWERS);
    });

    it('and tells it that there is no handler', async () => {
      await expect(firstValueFrom(client.send('nobody', 1))).rejects.toBe(
        'There is no matching message handler defined in the remote service.',
      );
    });

    it('and gets its events, once each', async () => {
      for (let id = 0; id < 5; id++)
        await lastValueFrom(client.emit('order.placed', { id }), { defaultValue: 0 });
      expect(await events.until(5)).toEqual([0, 1, 2, 3, 4].map((id) => ({ id })));
    });
  });

  it('tries an event of Nest’s again, and dead-letters it as it was', async () => {
    const attempts: unknown[] = [];
    @Controller()
    class Failing {
      @EventPattern<string>('order.placed', { retry: { attempts: 3, delay: 0 } })
      placed(@Payload() data: unknown, @Ctx() context: QueueContext): void {
        attempts.push([context.getPattern(), data, context.attempt]);
        throw new Error('no');
      }
    }
    const { app } = await startApp({ url: urlOf(broker), queue: 'orders' }, { controllers: [Failing] });
    const client = new ClientRMQ(options);
    await lastValueFrom(client.emit('order.placed', { id: 1 }), { defaultValue: 0 });
    const [letter] = await broker.take('orders.dead', 1);
    expect(attempts).toEqual([1, 2, 3].map((attempt) => ['order.placed', { id: 1 }, attempt]));
    expect(letter?.data).toEqual({ pattern: 'order.placed', data: { id: 1 } });
    await client.close();
    await app.close();
  });

  describe('calls a service that is still on it', () => {
    let app: INestApplication;
    let client: QueueClient;
    let server: ServerRMQ;
    beforeEach(async () => {
      const testing = await Test.createTestingModule({ controllers: [Orders] })
        .setLogger(false as never)
        .compile();
      app = testing.createNestApplication({ logger: false });
      server = new ServerRMQ({ ...options, noAssert: false });
      app.connectMicroservice({ strategy: server });
      await app.startAllMicroservices();
      client = new QueueClient({ url: urlOf(broker), queue: 'orders', wireFormat: 'nest-rmq' });
    });
    afterEach(async () => {
      await client.close();
      // Nest's server does not wait for the confirms of its replies, and fails when it is closed before them.
      const { channel } = server as unknown as { channel: ConfirmedChannel };
      await channel.publish('', 'nowhere', Buffer.alloc(0));
      await app.close();
    });

    it('and is answered as by Nest’s own client', async () => {
      expect(await callAll(client)).toEqual(ANSWERS);
      const nests = new ClientRMQ(options);
      expect(await callAll(nests)).toEqual(ANSWERS);
      await nests.close();
    });

    it('and is told that there is no handler, or no such queue', async () => {
      await expect(firstValueFrom(client.send('nobody', 1))).rejects.toBe(
        'There is no matching message handler defined in the remote service.',
      );
      const other = new QueueClient({ url: urlOf(broker), queue: 'other', wireFormat: 'nest-rmq' });
      await expect(firstValueFrom(other.send('sum', [1]))).rejects.toEqual(new NoHandlerException('sum'));
      await expect(firstValueFrom(other.emit('order.placed', 1))).rejects.toThrow(NoHandlerException);
      await other.close();
    });

    it('and its events come there', async () => {
      await lastValueFrom(client.emit('order.placed', { id: 1 }));
      await lastValueFrom(
        client.emit('order.placed', new QueueRecordBuilder({ id: 2 }).setPriority(1).build()),
      );
      expect(await events.until(2)).toEqual([{ id: 1 }, { id: 2 }]);
    });
  });

  it('sends byte for byte what Nest’s own client sends', async () => {
    const connection = await connect(broker.amqpUrl);
    const channel = await connection.createChannel();
    await channel.assertQueue('orders', { durable: true });
    const bodies = new Collector<string>();
    const ids: unknown[] = [];
    await channel.consume(
      'orders',
      (message) => {
        const { correlationId } = message?.properties ?? {};
        if (correlationId !== undefined) ids.push(correlationId);
        bodies.add(String(message?.content).replaceAll(String(correlationId), 'ID'));
      },
      { noAck: true },
    );
    const nests = new ClientRMQ(options);
    const ours = new QueueClient({ url: urlOf(broker), queue: 'orders', wireFormat: 'nest-rmq' });
    for (const client of [nests, ours]) {
      client.setOnDispatchHook((packet) => {
        packet.metadata = { trace: 't' };
      });
      await lastValueFrom(client.emit({ b: 1, a: 'x' }, { id: 1 }), { defaultValue: 0 });
      client.send('sum', [1, 2]).subscribe({ error: () => {} });
      await bodies.until(client === nests ? 2 : 4);
    }
    expect(bodies.items).toEqual([
      '{"pattern":{"b":1,"a":"x"},"data":{"id":1},"metadata":{"trace":"t"}}',
      '{"pattern":"sum","data":[1,2],"metadata":{"trace":"t"},"id":"ID"}',
      '{"pattern":{"b":1,"a":"x"},"data":{"id":1},"metadata":{"trace":"t"}}',
      '{"pattern":"sum","data":[1,2],"metadata":{"trace":"t"},"id":"ID"}',
    ]);
    expect(ids).toHaveLength(2);
    await nests.close();
    await ours.close();
    await connection.close();
  });
});

describe('the wire format of Nest', () => {
  it.each([
    ['compression', { encoding: 'gzip' }],
    ['codec', { contentType: 'a/b', encode: () => Buffer.alloc(0), decode: String }],
  ])('can not have what Nest does not read: %s', (key, value) => {
    const options = { url: 'memory:', wireFormat: 'nest-rmq', [key]: value };
    expect(() => new QueueClient(options as never)).toThrow(
      `'wireFormat' is 'nest-rmq', and there is '${key}'.`,
    );
    expect(() => new QueueClient({ url: 'memory:', wireFormat: 'json' } as never)).toThrow(
      "'wireFormat' is 'json'.",
    );
  });

  it('has no delays', async () => {
    const broker = await TestBroker.start();
    const client = new QueueClient({ url: broker.url, queue: 'orders', wireFormat: 'nest-rmq' });
    const record = new QueueRecordBuilder(1).setDelay('5s').build();
    await expect(firstValueFrom(client.emit('order.placed', record))).rejects.toThrow(
      "Nest's own transport has no delays",
    );
    await client.close();
    await broker.stop();
  });
});
