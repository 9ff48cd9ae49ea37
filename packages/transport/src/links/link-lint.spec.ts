import { describe, expect, it } from '@jest/globals';
import { lintDeclarations } from './link-lint.js';
import { amqpArgumentsOf } from './queue-arguments.js';

const lintOf = (args: Record<string, string | number>, more = {}): readonly string[] =>
  lintDeclarations({ queues: [{ name: 'q', arguments: args, ...more }] });

describe('the lint of declarations', () => {
  it.each([
    ['a transient queue that is not exclusive', {}, { durable: false }, 'neither durable nor exclusive'],
    ['a mirrored queue', { 'x-ha-policy': 'all' }, {}, 'is mirrored'],
    [
      'priorities of a quorum queue',
      { 'x-queue-type': 'quorum', 'x-max-priority': 5 },
      {},
      "'x-max-priority'",
    ],
    ['an exclusive quorum queue', { 'x-queue-type': 'quorum' }, { exclusive: true }, 'and exclusive'],
    ['a lazy queue', { 'x-queue-mode': 'lazy' }, {}, "'x-queue-mode'"],
    ['a queue of the first version', { 'x-queue-version': 1 }, {}, "'x-queue-version' 1"],
    [
      'an overflow that quorum queues have not',
      { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish-dlx' },
      {},
      "'reject-publish-dlx'",
    ],
    [
      'dead-lettering that only seems safe',
      { 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'at-least-once' },
      {},
      'does not hold',
    ],
  ])('names %s', (_what, args, more, words) => {
    const [only, ...others] = lintOf(args, more);
    expect(only).toContain(words);
    expect(others).toEqual([]);
  });

  it('names a prefetch count for a whole channel', () => {
    expect(lintDeclarations({ queues: [], globalQos: true })).toEqual([
      expect.stringContaining('whole channel'),
    ]);
  });

  it.each(['quorum', 'classic'] as const)('finds nothing in what a link declares by itself, %s', (type) => {
    const declarations = [
      {},
      { deadLetterQueue: 'dead' },
      { maxPriority: 9 },
      { singleActiveConsumer: true },
    ];
    for (const declaration of declarations) {
      const args = amqpArgumentsOf({ deadLetterQueue: 'dead', ...declaration }, type);
      expect(lintDeclarations({ queues: [{ name: 'q', arguments: args }] })).toEqual([]);
    }
    expect(
      lintDeclarations({ queues: [{ name: 'own', durable: false, exclusive: true, arguments: {} }] }),
    ).toEqual([]);
  });
});
