import 'reflect-metadata';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import { QueueModule } from '@nestmq/transport';

let isAway = true;

@Controller()
class Billing {
  @EventPattern<string>('order.placed', { retry: { attempts: 5, delay: '5m' } })
  charge(@Payload() _order: { readonly id: number }): void {
    if (isAway) throw new Error('the bank is away');
  }
}

void describe('billing, tested with nothing but Node', () => {
  let harness: QueueTestHarness;
  before(async () => {
    const imports = [QueueModule.forRoot({ url: 'amqp://rabbitmq', queue: 'billing' })];
    const builder = Test.createTestingModule({ imports, controllers: [Billing] });
    builder.setLogger({ log() {}, warn() {}, error() {} });
    harness = await QueueTestHarness.start(builder, { clock: 'manual' });
  });
  after(() => harness.close());

  void it('charges an order when the bank is there again', async () => {
    await harness.emit('order.placed', { id: 7 });
    const { error } = await harness.retried('order.placed');
    assert.match(String(error), /the bank is away/);
    isAway = false;
    await harness.advance('10m');
    const { data, attempt } = await harness.consumed('order.placed');
    assert.deepEqual({ data, attempt }, { data: { id: 7 }, attempt: 2 });
    await harness.idle();
    assert.equal(harness.deadLettered().count, 0);
  });
});
