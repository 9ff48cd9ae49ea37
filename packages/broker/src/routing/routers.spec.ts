import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Routable } from '../message/copy-keys.js';
import type { Field } from '../message/fields.js';
import { DirectRouter } from './direct-router.js';
import { FanoutRouter } from './fanout-router.js';
import type { Router } from './router.js';
import { TopicRouter } from './topic-router.js';

const NONE: readonly Field[] = [];
const message = (routingKey: string): Routable => ({ routingKey, properties: {} });

function routed<T>(router: Router<T>, key: string): T[] {
  return [...router.route(key, message(key))].toSorted();
}

describe.each<[string, () => Router<string>]>([
  ['direct', () => new DirectRouter()],
  ['fanout', () => new FanoutRouter()],
  ['topic', () => new TopicRouter()],
])('a %s router', (_type, make) => {
  it('binds the same twice as once, and unbinds only its own', () => {
    const router = make();
    router.bind('k', 'a', NONE);
    router.bind('k', 'a', NONE);
    router.bind('k', 'b', NONE);
    expect(routed(router, 'k')).toEqual(['a', 'b']);
    expect(router.unbind('other', 'a', NONE)).toBe(false);
    expect(router.unbind('k', 'c', NONE)).toBe(false);
    expect(router.unbind('k', 'a', NONE)).toBe(true);
    expect(router.unbind('k', 'a', NONE)).toBe(false);
    expect(routed(router, 'k')).toEqual(['b']);
  });

  it('routes to a destination once, however many of its bindings match', () => {
    const router = make();
    router.bind('k', 'a', NONE);
    router.bind(_type === 'topic' ? '#' : 'l', 'a', NONE);
    expect(routed(router, 'k')).toEqual(['a']);
    router.unbind(_type === 'topic' ? '#' : 'l', 'a', NONE);
    expect(routed(router, 'k')).toEqual(['a']);
  });
});

describe('a direct router', () => {
  it('wants the very key', () => {
    const router = new DirectRouter<string>();
    router.bind('a', '1');
    router.bind('', '2');
    expect([routed(router, 'a'), routed(router, 'A'), routed(router, '')]).toEqual([['1'], [], ['2']]);
  });
});

describe('a fanout router', () => {
  it('looks at no key', () => {
    const router = new FanoutRouter<string>();
    router.bind('a', '1');
    expect([routed(router, 'b'), routed(router, '')]).toEqual([['1'], ['1']]);
  });
});

describe('a topic router', () => {
  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a', false],
    ['a.*', 'a.b.c', false],
    ['*', '', true],
    ['*.*', '.', true],
    ['#', '', true],
    ['#', 'a.b.c', true],
    ['a.#', 'a', true],
    ['a.#', 'a.b.c', true],
    ['a.#', 'b', false],
    ['#.c', 'a.b.c', true],
    ['#.c', 'c', true],
    ['a.#.c', 'a.c', true],
    ['a.#.c', 'a.x.y.c', true],
    ['a.#.c', 'a.x.y', false],
    ['#.b.#', 'a.b.c', true],
    ['#.#', 'a', true],
    ['a.*.#', 'a', false],
    ['a.*.#', 'a.b.c', true],
    ['a..b', 'a..b', true],
    ['a.**', 'a.b', false],
  ])('%s matches %s: %s', (pattern, key, expected) => {
    const router = new TopicRouter<string>();
    router.bind(pattern, 'q');
    expect(routed(router, key)).toEqual(expected ? ['q'] : []);
  });

  it('matches as the words of the specification say, whatever is bound beside', () => {
    const word = fc.constantFrom('a', 'b', '', '*', '#');
    const pattern = fc.array(word, { minLength: 1, maxLength: 5 });
    const key = fc.array(fc.constantFrom('a', 'b', ''), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 6 }), key, (patterns, words) => {
        const router = new TopicRouter<number>();
        patterns.forEach((one, i) => router.bind(one.join('.'), i));
        const expected = patterns.flatMap((one, i) => (matches(one, words) ? [i] : []));
        expect(routed(router, words.join('.'))).toEqual(expected);
        // And nothing of it is left when all is unbound.
        patterns.forEach((one, i) => expect(router.unbind(one.join('.'), i)).toBe(true));
        expect(routed(router, words.join('.'))).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('is not slowed down by a pattern and a key that are made to hurt', () => {
    const router = new TopicRouter<string>();
    router.bind(Array.from({ length: 100 }, () => '#').join('.'), 'q');
    router.bind(`${Array.from({ length: 60 }, () => '#.a').join('.')}.b`, 'r');
    // Trying all ways would take longer than there is time.
    expect(routed(router, Array.from({ length: 127 }, () => 'a').join('.'))).toEqual(['q']);
  });

  it('forgets what it remembers of a key when a binding changes', () => {
    const router = new TopicRouter<string>();
    router.bind('a.#', '1');
    expect(routed(router, 'a.b')).toEqual(['1']);
    router.bind('a.b', '2');
    expect(routed(router, 'a.b')).toEqual(['1', '2']);
    router.unbind('a.#', '1');
    expect(routed(router, 'a.b')).toEqual(['2']);
  });
});

/** The specification, word by word. */
function matches(pattern: readonly string[], words: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return words.length === 0;
  if (first === '#') return matches(rest, words) || (words.length > 0 && matches(pattern, words.slice(1)));
  return words.length > 0 && (first === '*' || first === words[0]) && matches(rest, words.slice(1));
}
