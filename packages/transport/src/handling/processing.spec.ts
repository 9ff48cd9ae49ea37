import { describe, expect, it } from '@jest/globals';
import type { BaseRpcContext } from '@nestjs/microservices';
import { withProcessingHooks } from './processing.js';

const CONTEXT = {} as BaseRpcContext;

describe('processing hooks', () => {
  it('call the end hook once, whoever ends it how often', async () => {
    const calls: string[] = [];
    const run = withProcessingHooks({
      start: async (_context, begin) => {
        calls.push('start');
        await begin();
      },
      end: () => calls.push('end'),
    });
    await run(CONTEXT, async (runEndHook) => {
      calls.push('run');
      runEndHook();
      runEndHook();
    });
    expect(calls).toEqual(['start', 'run', 'end']);
  });

  it('call the end hook when what runs fails, and hand its error on', async () => {
    let ended = 0;
    const run = withProcessingHooks({ start: (_context, begin) => begin(), end: () => ended++ });
    await expect(run(CONTEXT, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(ended).toBe(1);
  });

  it('begin when the start hook lets them', async () => {
    let begin: (() => Promise<void>) | undefined;
    let ran = false;
    const run = withProcessingHooks({ start: (_context, later) => (begin = later), end: () => {} });
    void run(CONTEXT, async () => {
      ran = true;
    });
    expect(ran).toBe(false);
    await begin?.();
    expect(ran).toBe(true);
  });
});
