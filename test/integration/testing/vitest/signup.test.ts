import 'reflect-metadata';
import { Controller, Injectable } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import '@nestmq/testing/vitest';
import { QueueModule, UnrecoverableException } from '@nestmq/transport';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

@Injectable()
class Mail {
  write(address: string): void {
    if (!address.includes('@')) throw new UnrecoverableException('no address');
  }
}

@Controller()
class Signup {
  constructor(private readonly mail: Mail) {}
  @EventPattern('user.signed-up')
  welcome(@Payload('email') email: string): void {
    this.mail.write(email);
  }
}

describe('signing up, tested with vitest', () => {
  let harness: QueueTestHarness;
  beforeAll(async () => {
    const imports = [QueueModule.forRoot({ url: 'file:./data/mq', queue: 'mail' })];
    const builder = Test.createTestingModule({ imports, controllers: [Signup], providers: [Mail] });
    builder.setLogger({ log() {}, warn() {}, error() {} });
    harness = await QueueTestHarness.start(builder);
  });
  afterAll(() => harness.close());

  it('writes to those who have an address, and keeps the others', async () => {
    await harness.emit('user.signed-up', { email: 'ada@example.org' });
    await harness.emit('user.signed-up', { email: 'nowhere' });
    await expect(harness).toHaveConsumed('user.signed-up', { email: expect.stringContaining('@') });
    await expect(harness).toHaveDeadLettered('user.*', { email: 'nowhere' });
    await expect(harness).not.toHaveDeadLettered('user.*', { email: 'ada@example.org' });
  });
});
