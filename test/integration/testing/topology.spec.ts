import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { type StartedApp, startApp } from '../app.js';

@Controller()
class Billing {
  @EventPattern<string>('order.placed')
  placed(): void {}
  @EventPattern<string>('order.*.cancelled')
  cancelled(): void {}
}

let broker: TestBroker;
let started: StartedApp | undefined;
afterEach(async () => {
  await started?.app.close();
  await broker.stop();
  started = undefined;
});

describe('recordTopology', () => {
  it('has what a service declares, in whatever order it was declared', async () => {
    broker = await TestBroker.start();
    started = await startApp({ ...broker.queueOptions, queue: 'billing' }, { controllers: [Billing] });
    const { queues, bindings, exchanges, policies } = await broker.recordTopology();
    expect(queues.map(({ name }) => name)).toEqual(['billing', 'billing.dead']);
    const events = bindings.filter(({ source }) => source === 'nestmq.events');
    expect(events.map(({ routing_key: key, destination }) => [key, destination])).toEqual([
      ['order.*.cancelled', 'billing'],
      ['order.placed', 'billing'],
    ]);
    expect(exchanges.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['nestmq.events', 'nestmq.requests']),
    );
    expect(policies).toEqual([]);
  });

  it('shows arguments and policies, and nothing that is transient', async () => {
    broker = await TestBroker.start();
    const before = await broker.recordTopology();
    const connection = broker.engine.connect();
    await connection.declareQueue('', { exclusive: true });
    await connection.declareQueue('gone', { durable: false });
    expect(await broker.recordTopology()).toEqual(before);
    await connection.declareQueue('jobs', { arguments: { 'x-max-length': 10 } });
    broker.engine.registry.setPolicy('/', 'ttl', {
      pattern: '.*',
      applyTo: 'queues',
      priority: 0,
      definition: { 'message-ttl': 1000 },
    });
    const { queues, policies } = await broker.recordTopology();
    expect(queues).toMatchObject([{ name: 'jobs', arguments: { 'x-max-length': 10 } }]);
    expect(policies).toMatchObject([{ name: 'ttl', definition: { 'message-ttl': 1000 } }]);
  });
});
