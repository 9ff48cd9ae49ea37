import { describe, expect, it } from '@jest/globals';
import { Consumers } from './consumers.js';
import type { QueueConsumer } from './queue-consumer.js';

/** A consumer whose start takes until it is let through. */
function slowConsumer(): { consumer: QueueConsumer; letThrough: () => void; running: () => boolean } {
  let running = false;
  const waiting: (() => void)[] = [];
  const consumer = {
    start: () =>
      new Promise<void>((resolve) => {
        waiting.push(() => {
          running = true;
          resolve();
        });
      }),
    stop: () => {
      running = false;
    },
    get isRunning() {
      return running;
    },
    isDeleted: false,
  } as unknown as QueueConsumer;
  return {
    consumer,
    letThrough: () => {
      for (const go of waiting.splice(0)) go();
    },
    running: () => running,
  };
}

describe('the consumers of a service', () => {
  it('stay paused when a pause comes while they are being resumed', async () => {
    const consumers = new Consumers();
    const { consumer, letThrough, running } = slowConsumer();
    const started = consumers.start('q', consumer);
    letThrough();
    await started;
    consumers.pause('q');
    const resumed = consumers.resume('q');
    consumers.pause('q');
    letThrough();
    await resumed;
    expect({ running: running(), state: consumers.stateOf('q') }).toEqual({
      running: false,
      state: 'paused',
    });
  });

  it('stay stopped when the service stops while they are being resumed', async () => {
    const consumers = new Consumers();
    const { consumer, letThrough, running } = slowConsumer();
    consumers.pause('q');
    await consumers.start('q', consumer);
    const resumed = consumers.resume('q');
    consumers.stop();
    letThrough();
    await resumed;
    expect(running()).toBe(false);
    await consumers.resume('q');
    expect({ running: running(), state: consumers.stateOf('q') }).toEqual({
      running: false,
      state: 'stopped',
    });
  });

  it('that were paused before they begin do not begin', async () => {
    const consumers = new Consumers();
    const { consumer } = slowConsumer();
    consumers.pause('q');
    await consumers.start('q', consumer);
    expect(consumers.stateOf('q')).toBe('paused');
  });
});
