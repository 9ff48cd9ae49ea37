import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import {
  Batch,
  Concurrency,
  DeadLetter,
  Deduplicate,
  HandlerTimeout,
  OrderingKey,
  QueueClient,
  QueueModule,
  QueueRecord,
  RateLimit,
  Retry,
  Schedule,
} from '@nestmq/transport';

const PAGE = readFileSync('packages/transport/README.md', 'utf8');
const UNKNOWN = { nope: 1 } as never;

/** The tables of the page, by the heading of their first column: what that names, row by row. */
function tableOf(section: string, heading: string): string[] {
  const [, text = ''] = PAGE.split(`\n## ${section}\n`);
  const [body = ''] = text.split('\n## ');
  const lines = body.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} `));
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  return lines
    .slice(start + 2, start + length)
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, key]) => String(key)));
}

/** The keys that the code knows, by its error for another one. */
function known(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    const [, list = ''] = /Options here are: (.*)\.$/.exec(String(error)) ?? [];
    return list.split(', ').toSorted();
  }
  return [];
}

describe("the transport's README has in its tables", () => {
  it.each<[string, string, string, () => unknown]>([
    ['Options', 'option', 'all options of the module', () => new QueueClient(UNKNOWN)],
    [
      'Handlers and their policies',
      'option',
      'all options of handlers',
      () => QueueModule.forFeature(UNKNOWN),
    ],
    [
      'Handlers and their policies',
      'key of `retry`',
      'all keys of retry',
      () => QueueModule.forFeature({ retry: UNKNOWN }),
    ],
    ['Records', 'option', 'all options of records', () => new QueueRecord(1, UNKNOWN)],
    [
      'RabbitMQ, and brokers of other processes',
      'option',
      'all options of AMQP URLs',
      () => new QueueClient({ url: 'amqp://h', amqp: UNKNOWN }),
    ],
  ])('under "%s", by %s, %s, each once', (section, heading, _what, act) => {
    expect(tableOf(section, heading).toSorted()).toEqual(known(act));
  });

  it('all decorators', () => {
    const decorators = {
      Batch,
      Concurrency,
      DeadLetter,
      Deduplicate,
      HandlerTimeout,
      OrderingKey,
      RateLimit,
      Retry,
      Schedule,
    };
    const shown = [...PAGE.matchAll(/^\| `\w+` +\| `@(\w+)`/gm)].map(([, name]) => String(name));
    expect(shown.toSorted()).toEqual(Object.keys(decorators));
  });

  it('links to headings and files that are there', () => {
    const anchors = [...PAGE.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      String(title)
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
    const links = [...PAGE.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => String(target));
    for (const target of links) {
      if (target.startsWith('#')) expect(anchors).toContain(target.slice(1));
      else expect([target, readable(`packages/transport/${target}`)]).toEqual([target, true]);
    }
  });
});

function readable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EISDIR';
  }
}
