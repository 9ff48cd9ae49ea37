import { performance } from 'node:perf_hooks';
import { describe, expect, it } from '@jest/globals';
import { pick, seededRandom } from '../random.spec.support.js';
import { Pattern } from './pattern.js';

const TEXTS = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'abc',
  'amq.gen-x',
  'order.placed',
  'A1_z',
  'a\n',
  '\n',
  'x y',
  '-]^',
];

/** What JavaScript's own engine says. Its dollar does not match before a last line feed, which PCRE's does. */
function expected(source: string, text: string): boolean {
  return (
    new RegExp(source).test(text) || (/\$/.test(source) && new RegExp(source).test(text.replace(/\n$/, '')))
  );
}

const PATTERNS = [
  '',
  '.*',
  '^$',
  'a',
  '^a',
  'b$',
  '^(a|b)+$',
  'a|b|^$',
  'a{2}',
  '^a{1,2}b$',
  '^a{2,}b',
  'a{,2}',
  'a{x}',
  '^(?:ab)*c?$',
  '(a*)*b',
  '(|a)+$',
  '[a-c]$',
  '[^a-c]',
  '[]a]|x'.replace('[]a]', String.raw`[\]a]`),
  '[-a]',
  '[a-]',
  String.raw`^\w+\.\w+$`,
  String.raw`^[\w.-]+$`,
  String.raw`\d`,
  String.raw`\D\S\s?`,
  String.raw`\bab\b`,
  String.raw`a\Bb`,
  String.raw`\x61b`,
  '^(?!amq\\.).*',
  '^(?=a)(?!.*c$)',
  '^(?!(?!a))',
  '(?=(?=ab)a)ab',
  'a.?b',
  '.+?b',
  '^.$',
];

describe('a regular expression', () => {
  it.each(PATTERNS)('matches what JavaScript matches: %s', (source) => {
    const pattern = Pattern.of(source);
    for (const text of TEXTS) expect([text, pattern.matches(text)]).toEqual([text, expected(source, text)]);
  });

  it('matches what JavaScript matches, whatever is put together', () => {
    const random = seededRandom(20_260_923);
    const atoms = [
      'a',
      'b',
      '.',
      '[ab]',
      '[^a]',
      '^',
      '$',
      '(?!a)',
      '(?=b)',
      String.raw`\b`,
      '(a|bc)',
      '(?:b|)',
    ];
    const bounds = ['', '', '', '*', '+', '?', '{2}', '{0,2}', '*?'];
    for (let i = 0; i < 3000; i++) {
      const part = (): string => {
        const atom = atoms[pick(random, atoms.length)] as string;
        const isWide = !['^', '$', '(?!a)', '(?=b)', String.raw`\b`].includes(atom);
        return atom + (isWide ? bounds[pick(random, bounds.length)] : '');
      };
      const source = Array.from({ length: 1 + pick(random, 5) }, part).join(pick(random, 4) === 0 ? '|' : '');
      const pattern = Pattern.of(source);
      const text = Array.from({ length: pick(random, 6) }, () => 'abc'[pick(random, 3)]).join('');
      expect([source, text, pattern.matches(text)]).toEqual([source, text, expected(source, text)]);
    }
  });

  it('that is bound to the start is told from most names by their first bytes', () => {
    const pattern = Pattern.of(String.raw`^[a-c]pp\.(x|y)*$`);
    const names = ['app.', 'bpp.xy', 'app', 'dpp.', 'apq.x', 'a', '', 'xapp.'];
    expect(names.filter((name) => pattern.matches(name))).toEqual(['app.', 'bpp.xy']);
    expect(Pattern.of('^ab|b').matches('b')).toBe(true);
    const long = `q${'x'.repeat(250)}`;
    const started = performance.now();
    // Without a look at the first byte all states are gone through at each place, and it takes more than 10 s.
    for (let i = 0; i < 100_000; i++) pattern.matches(long);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('matches bytes, as RabbitMQ does, and ignores case when it is asked to', () => {
    expect(Pattern.of('^..$').matches('é')).toBe(true);
    expect(Pattern.of('^é$').matches('é')).toBe(true);
    expect(Pattern.of('(?i)^[a-c]X$').matches('Bx')).toBe(true);
    expect(Pattern.of('(?i)[^b]').matches('B')).toBe(false);
    expect(Pattern.of('[]a]').matches(']')).toBe(true);
    expect(Pattern.of(String.raw`^a\Z`).matches('a\n')).toBe(true);
    expect(Pattern.of(String.raw`^a\z`).matches('a\n')).toBe(false);
  });

  it.each([
    '(a+)+$',
    '(a|a)*b',
    '(a|aa)+$',
    '(.*a){20}',
    '((a?){10}){20}b',
    '^(?!(a*)*b)(a*)*c',
    'a{0,500}a{0,500}b',
  ])('takes no time that grows faster than the name: %s', (source) => {
    const pattern = Pattern.of(source);
    const started = performance.now();
    pattern.matches('a'.repeat(254) + '!');
    // A backtracking engine needs years.
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it.each([
    ['(', 'a ( without its )'],
    [')', 'a ) without its ('],
    ['[a', 'it ends too early'],
    ['a**', 'a repetition of a repetition'],
    ['*a', "nothing before '*'"],
    ['a{3,2}', '{3,2}'],
    ['[b-a]', 'a range in [] that is none'],
    ['\\', 'it ends too early'],
    [String.raw`(a)\1`, String.raw`uses \1`],
    ['(?<=a)b', 'uses (?<'],
    ['(?>a)', 'uses (?>'],
    ['a++', 'uses possessive repetition'],
    ['[[:alpha:]]', 'uses [: :]'],
    [String.raw`\p{L}`, String.raw`uses \p`],
    ['(((a{99}){99}){99}){99}', 'too large'],
    ['(?:){999999999}', 'too large'],
    ['a'.repeat(2000), 'has 2000 characters'],
  ])('is refused when it is none, or could be slow: %s', (source, why) => {
    expect(() => Pattern.of(source)).toThrow(why);
  });
});
