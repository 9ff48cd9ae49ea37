import { describe, expect, it } from '@jest/globals';
import { routingKeyOf } from './pattern.js';

describe('the routing key of a pattern', () => {
  it('is what Nest has made of it, up to 255 bytes', () => {
    expect(routingKeyOf('order.placed', 'order.placed')).toBe('order.placed');
    expect(routingKeyOf({ cmd: 'sum' }, '{"cmd":"sum"}')).toBe('{"cmd":"sum"}');
    expect(routingKeyOf('o'.repeat(255), 'o'.repeat(255))).toHaveLength(255);
  });

  it('is refused when it is longer, counted in bytes', () => {
    expect(() => routingKeyOf('', 'o'.repeat(256))).toThrow('has 256 bytes. Give one of at most 255 bytes');
    expect(() => routingKeyOf('', '€'.repeat(86))).toThrow('has 258 bytes.');
    expect(() => routingKeyOf('', '€'.repeat(85))).not.toThrow();
  });

  it.each(['[MAX_DEPTH_REACHED]', '[TOO_MANY_KEYS]'])(
    'is refused when Nest has cut the pattern off: %s',
    (mark) => {
      expect(() => routingKeyOf({}, `{"a":${mark}}`)).toThrow('so Nest does not tell it from others.');
      expect(routingKeyOf(mark, mark)).toBe(mark);
    },
  );

  it.each([undefined, null, true, Symbol('x')])('is refused for what is no pattern: %p', (pattern) => {
    expect(() => routingKeyOf(pattern, pattern)).toThrow('Give a string, a number or an object.');
  });
});
