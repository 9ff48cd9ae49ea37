import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { leaseBroker, QueueClient, type QueueOptions } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { startApp } from './app.js';
import { HOMES } from './homes.js';

@Controller()
class Doubler {
  @MessagePattern('double')
  double(n: number): number {
    return n * 2;
  }
}

/** Options for all homes at once, of which each uses its own. */
const OPTIONS = {
  queue: 'doubler',
  broker: { cacheBytesMax: 1024 * 1024, listen: { port: 0 } },
  amqp: { heartbeat: '20s', connectionName: 'doubler', queueType: 'classic' },
} as const satisfies QueueOptions;

describe.each(HOMES)('an application that moves to %s', (scheme, makeHome) => {
  it('changes its URL, and keeps the options of where it was and where it goes', async () => {
    const home = await makeHome();
    const { app, client } = await startApp({ url: home.url, ...OPTIONS }, { controllers: [Doubler] });
    expect(await firstValueFrom(client.send('double', 21))).toBe(42);
    if (scheme === 'memory:') {
      const lease = await leaseBroker({ memory: home.url.slice(scheme.length) });
      expect(lease.port).toBeGreaterThan(0);
      await lease.release();
    }
    await app.close();
    await home.remove();
  });

  it.each([
    [{ cacheBytesMax: -1 }, "'cacheBytesMax' is -1"],
    [{ cacheBytes: 1 }, "'cacheBytes' is not an option"],
    [{ listen: { port: '5672' } }, "'port' is '5672'"],
  ])('is told what is wrong in the options of its broker, used or not: %j', async (broker, words) => {
    const home = await makeHome();
    const client = new QueueClient({ url: home.url, broker: broker as never });
    await expect(client.connect()).rejects.toThrow(words);
    await home.remove();
  });
});
