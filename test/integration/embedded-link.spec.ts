import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { publish, SILENT, toQueue } from '../../packages/transport/src/links/contract/contract-support.js';
import { embeddedHome } from './link-homes.js';

describe('an embedded broker that takes publishes again', () => {
  it('has none twice, and none before others that waited, when more come at that moment', async () => {
    const home = await embeddedHome(`memory:${randomUUID()}`, () => {});
    const link = await home.open(SILENT);
    await link.declareQueue('q');
    await home.block?.(true);
    const waiting = Array.from({ length: 10_000 }, async (_, i) => publish(link, toQueue('q', String(i))));
    // Not awaited: what waits has not gone out yet.
    void home.block?.(false);
    expect(() => link.publish(toQueue('q', 'one more'), () => {})).toThrow(
      expect.objectContaining({ code: 'BLOCKED' }),
    );
    for (const { error } of await Promise.all(waiting)) expect(error).toBeUndefined();
    expect((await link.queueState('q'))?.ready).toBe(10_000);
    await link.close();
    await home.close();
  });
});
