import { expect, it } from '@jest/globals';
import { TestBroker } from '@nestmq/testing';
import { printedIn } from '../printed.js';
import { run } from './run.js';

it('moves the service, then its caller, and from the first step on an event that fails is tried again', async () => {
  const broker = await TestBroker.start({ listen: true });
  expect(await run(broker.amqpUrl)).toEqual(printedIn('07-migrate-from-nest-rmq'));
  await broker.stop();
});
