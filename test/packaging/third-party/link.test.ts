import { after, afterEach, before, describe, it } from 'node:test';
import { linkContract } from '@nestmq/transport/link-contract';
import { expect } from 'expect';
import { counts, countingLink } from './counting.js';

const open = countingLink('contract', process.env['BROKEN'] === 'yes');

linkContract('one that counts', {
  runner: { describe, it, beforeAll: (work) => before(work), afterEach, afterAll: after, expect },
  lacks: ['connection', 'blocking'],
  timeoutMs: 2000,
  async start() {
    const ignore = (): void => {};
    const listener = { onConnected: ignore, onDisconnected: ignore, onBlocked: ignore, onError: ignore };
    // With the last link the broker in memory would go.
    const keeper = await open({ listener });
    return { open: async (heard) => open({ listener: heard }), close: async () => keeper.close() };
  },
});

after(() => {
  process.stdout.write(`counted publishes: ${(counts.get('publish') ?? 0) > 100}\n`);
});
