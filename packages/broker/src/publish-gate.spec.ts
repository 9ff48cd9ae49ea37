import { describe, expect, it } from '@jest/globals';
import { PublishGate } from './publish-gate.js';

describe('the gate for publishers', () => {
  it('opens when the last of several reasons is gone, and lets go who waits in order', async () => {
    const gate = new PublishGate();
    gate.set('disk', 'no disk.');
    gate.set('memory', 'no memory.');
    expect(gate.reason).toBe('no disk. no memory.');
    expect(() => gate.assertOpen()).toThrow('no disk. no memory.');
    const released: number[] = [];
    const waiting = [1, 2].map((who) => gate.whenOpen().then(() => released.push(who)));
    gate.set('disk', undefined);
    await Promise.resolve();
    expect([gate.reason, released]).toEqual(['no memory.', []]);
    gate.set('memory', undefined);
    await Promise.all(waiting);
    expect([gate.reason, released]).toEqual([undefined, [1, 2]]);
    expect(() => gate.assertOpen()).not.toThrow();
  });

  it('turns away who waits when the broker is closed', async () => {
    const gate = new PublishGate();
    gate.set('memory', 'no memory.');
    const waiting = gate.whenOpen();
    gate.close();
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(gate.whenOpen()).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
