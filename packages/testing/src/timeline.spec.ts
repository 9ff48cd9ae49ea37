import { describe, expect, it } from '@jest/globals';
import { errorText, inspect, Timeline } from './timeline.js';

describe('a timeline', () => {
  it('has each message with its hops, in order, with times since the first of all', () => {
    const timeline = new Timeline();
    expect(String(timeline)).toBe('No message was seen.');
    const order = { messageId: 'm1', pattern: 'order.placed', data: { id: 7 } };
    const other = { messageId: '', pattern: 'other', data: 1 };
    timeline.add({ ...order, at: 1000 }, 'published (event)');
    timeline.add({ ...other, at: 1500 }, 'delivered from q');
    // Under its queue's name, as a retry comes: it is the same message.
    timeline.add({ ...order, pattern: 'orders', at: 61_000 }, 'delivered from orders');
    expect(String(timeline).split('\n')).toEqual([
      'order.placed {"id":7} (m1)',
      '  +0 ms  published (event)',
      '  +60000 ms  delivered from orders',
      'other 1 (no id)',
      '  +500 ms  delivered from q',
    ]);
  });

  it('prints whatever data there is, in one line that is not too long', () => {
    expect(inspect('x'.repeat(200))).toHaveLength(121);
    expect(inspect(Buffer.from('abc'))).toBe('<3 bytes>');
    expect(inspect(undefined)).toBe('undefined');
    expect(inspect(1n)).toBe('1');
    expect(errorText(new RangeError('no'))).toBe('RangeError: no');
    expect(errorText({ status: 'error' })).toBe('{"status":"error"}');
  });
});
