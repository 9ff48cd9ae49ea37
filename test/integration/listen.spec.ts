import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { EVENTS_EXCHANGE, leaseBroker } from '@nestmq/transport';
import { connect } from 'amqplib';
import { firstValueFrom } from 'rxjs';
import { Collector, startApp, temporaryDirectory } from './app.js';

describe('an embedded broker that listens', () => {
  it('lets an AMQP client of another process emit to handlers, and get what they emit', async () => {
    const broker = await TestBroker.start({ listen: true });
    const seen = new Collector<unknown>();
    @Controller()
    class Orders {
      @EventPattern('order.placed')
      placed(@Payload() data: unknown): void {
        seen.add(data);
      }
    }
    const { app, client } = await startApp({ url: broker.url }, { controllers: [Orders] });
    const connection = await connect(broker.amqpUrl);
    const channel = await connection.createConfirmChannel();
    channel.publish(EVENTS_EXCHANGE, 'order.placed', Buffer.from('{"id":7}'), { persistent: true });
    await channel.waitForConfirms();
    expect(await seen.until(1)).toEqual([{ id: 7 }]);

    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, EVENTS_EXCHANGE, 'order.*');
    const bodies = new Collector<string>();
    await channel.consume(queue, (message) => bodies.add(String(message?.content)), { noAck: true });
    await firstValueFrom(client.emit('order.paid', { id: 8 }));
    expect(await bodies.until(1)).toEqual(['{"id":8}']);
    await connection.close();
    await app.close();
    await broker.stop();
  });

  it('is the application’s own broker on a directory, with the options of createServer', async () => {
    const { path, remove } = temporaryDirectory();
    @Controller()
    class Echo {
      @MessagePattern('echo')
      echo(@Payload() data: unknown): unknown {
        return data;
      }
    }
    const options = { url: `file:${path}`, broker: { listen: { port: 0 } } };
    const { app, client } = await startApp(options, { controllers: [Echo] });
    const lease = await leaseBroker({ directory: path });
    const connection = await connect(`amqp://127.0.0.1:${lease.port}`);
    expect(connection.connection.serverProperties['product']).toBeDefined();
    expect(await firstValueFrom(client.send('echo', 1))).toBe(1);
    await connection.close();
    await app.close();
    await lease.release();
    await expect(connect(`amqp://127.0.0.1:${lease.port}`)).rejects.toThrow('ECONNREFUSED');
    remove();
  });

  it('says where a TestBroker listens only when it does', async () => {
    const broker = await TestBroker.start();
    expect(() => broker.amqpUrl).toThrow('TestBroker.start({ listen: true })');
    await broker.stop();
  });
});
