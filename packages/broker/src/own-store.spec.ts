import { describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { MemoryStore } from './store/memory-store.js';
import type { StoreFactory, StoreInit } from './store/message-store.js';
import { ManualClock } from './clock.js';
import { journalOn, persistent } from './store/journal-model.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

describe('a broker on a store of another make', () => {
  it('keeps its messages and definitions there, until the next opening', async () => {
    const files = new SimulatedFileSystem();
    const store: StoreFactory = () => journalOn(files, { settlementDelayMs: 0 });
    const first = await openBroker({ store });
    const connection = first.connect();
    await connection.declareQueue('q');
    connection.publish({ ...persistent('a'), exchange: '', routingKey: 'q' }, () => {});
    await first.close();
    const second = await openBroker({ store });
    const delivery = await second.connect().get('q');
    expect(delivery?.message.body.toString()).toBe('a');
    await second.close();
  });

  it('gives it its clock, and holds publishers back while it says so', async () => {
    let init: StoreInit | undefined;
    const clock = new ManualClock();
    const broker = await openBroker({
      clock,
      store(given) {
        init = given;
        return new MemoryStore();
      },
    });
    expect(init?.clock).toBe(clock);
    init?.onBlocked('The bucket is full.');
    expect(broker.blocked).toBe('The bucket is full.');
    init?.onBlocked(undefined);
    expect(broker.blocked).toBeUndefined();
    await broker.close();
  });

  it('is not opened when the store can not be: it says why in its own words', async () => {
    class Away extends MemoryStore {
      override async open(): Promise<never> {
        throw Object.assign(new Error('The database is away.'), { code: 'ECONNREFUSED' });
      }
    }
    await expect(openBroker({ store: () => new Away() })).rejects.toThrow('The database is away.');
  });

  it.each([[undefined], [{}], [{ open: 5 }]])('is refused for what is no store: %j', async (made) => {
    await expect(openBroker({ store: () => made as never })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining("What 'store' has made has no method 'open'."),
    });
  });
});
