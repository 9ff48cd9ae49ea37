import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { LIMITS } from '@nestmq/broker';

const specs = ['packages/transport/src', 'test'].flatMap((directory) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.spec.ts'))
    .map((path) => join(directory, path)),
);
const sources = specs.map((path) => readFileSync(path, 'utf8')).join('\n');

/** Lines of a page are wrapped anywhere, and so are the names of tests in it. */
const page = (name: string): string => readFileSync(`docs/${name}.md`, 'utf8').replaceAll(/\s+/g, ' ');

describe('docs/nest-contract.md', () => {
  const names = [...page('nest-contract').matchAll(/"([a-z][^"]+?)"/g)].map(([, name]) => name as string);

  it.each([...new Set(names)])('names a test that is there: %s', (name) => {
    const beginning = name.replace(/[,:]? ?…$/, '');
    expect(sources.replaceAll(/\s+/g, ' ').includes(beginning)).toBe(true);
  });

  it('has no line that is not ticked', () => {
    expect(page('nest-contract')).not.toContain('- [ ]');
  });
});

describe.each(['nest-contract', 'pain-points'])('docs/%s.md', (name) => {
  const files = [...page(name).matchAll(/`([\w./-]+\.spec\.ts)`/g)].map(([, file]) => file as string);

  it.each([...new Set(files)])('names a file that is there: %s', (file) => {
    expect(specs.filter((path) => path.endsWith(basename(file)))).not.toEqual([]);
  });
});

describe('docs/pain-points.md', () => {
  it.each(Array.from({ length: 26 }, (_, i) => i + 1))('has a test for number %d', (number) => {
    expect(page('pain-points')).toContain(` ${number}. **`);
    const titles = [...sources.matchAll(/['"](\d+)\. /g)].map(([, title]) => Number(title));
    expect(titles).toContain(number);
  });
});

describe('docs/journal-format.md', () => {
  const used = readdirSync('packages/broker/src', { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => readFileSync(join('packages/broker/src', path), 'utf8').match(/\bJ\d+\b/g) ?? []);

  it('has the sentences that code and tests call by number, in their order', () => {
    const told = [...readFileSync('docs/journal-format.md', 'utf8').matchAll(/^- \*\*(J\d+)\*\* /gm)];
    const names = told.map(([, name]) => name);
    expect(names).toEqual(Array.from({ length: 11 }, (_, i) => `J${i + 1}`));
    expect([...new Set(used)].filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('docs/operating.md', () => {
  const whole = (count: number): string => count.toLocaleString('en-US');
  const mib = (bytes: number): string => `${bytes / 1024 / 1024} MiB`;

  it.each([
    `a body ${mib(LIMITS.bodyBytesMax)}`,
    `a routing key ${LIMITS.shortStringBytesMax} bytes`,
    `a channel ${whole(LIMITS.unsettledMax)} unsettled deliveries`,
    `${LIMITS.channelsMax} channels a connection`,
    `${whole(LIMITS.connectionsMax)} connections`,
    `${whole(LIMITS.queuesPerMessageMax)} queues for one message`,
    `up to ${mib(LIMITS.unsettledBytesMax)} and a million messages a channel`,
    `up to ${mib(LIMITS.underWayBytesMax)}; then publishers wait`,
    `up to ${LIMITS.openSegmentsMax} segments that are read`,
  ])('says of the limits what they are: %s', (words) => {
    expect(page('operating')).toContain(words);
  });
});
