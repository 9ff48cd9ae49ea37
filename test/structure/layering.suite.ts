import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const run = promisify(execFile);

/** Imports that the layers forbid, each as the only line of a file that is made for this test. */
const FORBIDDEN: [string, string][] = [
  ['packages/broker/src/store/forbidden.ts', "export { Queue } from '../queue/queue.js';"],
  ['packages/broker/src/store/forbidden.ts', "export { TopicRouter } from '../routing/topic-router.js';"],
  ['packages/broker/src/routing/forbidden.ts', "export { JournalStore } from '../store/journal-store.js';"],
  ['packages/broker/src/queue/forbidden.ts', "export { Vhost } from '../vhost.js';"],
  ['packages/broker/src/message/forbidden.ts', "export { openBroker } from '../broker.js';"],
  ['packages/broker/src/queue/forbidden.ts', "export { Outbox } from '../amqp/outbox.js';"],
  ['packages/broker/src/auth/forbidden.ts', "export { openBroker } from '../broker.js';"],
  ['packages/broker/src/pattern/forbidden.ts', "export { Registry } from '../definitions/registry.js';"],
  ['packages/broker/src/auth/forbidden.ts', "export { Registry } from '../definitions/registry.js';"],
  ['packages/broker/src/definitions/forbidden.ts', "export { Vhosts } from '../vhosts.js';"],
  ['packages/broker/src/management/forbidden.ts', "export { Outbox } from '../amqp/outbox.js';"],
  [
    'packages/broker/src/amqp/forbidden.ts',
    "export { parseDocument } from '../management/definitions-document.js';",
  ],
  ['packages/broker/src/amqp/forbidden.ts', "export { createServer } from '../server.js';"],
  ['packages/broker/src/store/forbidden.ts', "export { checkJournal } from '../tools/check.js';"],
  ['packages/broker/src/tools/forbidden.ts', "export { Outbox } from '../amqp/outbox.js';"],
  ['packages/broker/src/tools/forbidden.ts', "export { COMMANDS } from '../bin/commands.js';"],
  ['packages/broker/src/forbidden.ts', "export { Injectable } from '@nestjs/common';"],
  ['packages/broker/src/forbidden.ts', "export { QueueModule } from '@nestmq/transport';"],
  ['packages/transport/src/forbidden.ts', "export { Queue } from '../../broker/src/queue/queue.js';"],
  ['packages/transport/src/forbidden.ts', "export { TestBroker } from '@nestmq/testing';"],
  ['packages/transport/src/forbidden.ts', "export { Wire } from './wire/wire.js';"],
  ['packages/transport/src/forbidden.ts', "export { QueueContext } from './queue.context.js';"],
  ['packages/transport/src/forbidden.ts', "export type { QueueOptions } from './queue.options.js';"],
  ['packages/transport/src/links/forbidden.ts', "export { Wire } from '../wire/wire.js';"],
  [
    'packages/transport/src/links/forbidden.ts',
    "export { normaliseQueueOptions } from '../queue.options.js';",
  ],
  [
    'packages/transport/src/wire/forbidden.ts',
    "export { promMetrics } from '../observability/prom-metrics.js';",
  ],
  ['packages/transport/src/wire/forbidden.ts', "export { originOf } from '../handling/address.js';"],
  ['packages/transport/src/observability/forbidden.ts', "export { Wire } from '../wire/wire.js';"],
  ['packages/transport/src/observability/forbidden.ts', "export type { Work } from '../handling/work.js';"],
  [
    'packages/transport/src/queue.options.forbidden.ts',
    "export { HandlerTable } from './handling/handler-table.js';",
  ],
  ['packages/transport/src/handling/forbidden.ts', "export { QueueAdmin } from '../admin/queue.admin.js';"],
  ['packages/transport/src/handling/forbidden.ts', "export { QueueServer } from '../queue.server.js';"],
  ['packages/transport/src/admin/forbidden.ts', "export { QueueClient } from '../queue.client.js';"],
  ['packages/transport/src/queue.server.forbidden.ts', "export { Retry } from './index.js';"],
  ['packages/testing/src/forbidden.ts', "export { Queue } from '../../broker/src/queue/queue.js';"],
];

async function lint(file: string): Promise<string> {
  try {
    return (await run('node', ['node_modules/oxlint/bin/oxlint', '-f', 'unix', file])).stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

/** Layers, cycles and rules: what breaks them is refused by the linter. */
export function layersAreHeld(): void {
  describe('the linter', () => {
    const remove = (): void => {
      for (const [file] of FORBIDDEN) rmSync(file, { force: true });
    };
    beforeAll(remove);
    afterAll(remove);

    it.each(FORBIDDEN)('refuses an import that goes up: in %s, %s', async (file, line) => {
      writeFileSync(file, `${line}\n`);
      expect(await lint(file)).toContain('no-restricted-imports');
      rmSync(file);
    });

    it('refuses a cycle', async () => {
      mkdirSync('packages/broker/src/routing', { recursive: true });
      const [a, b] = ['packages/broker/src/routing/cycle-a.ts', 'packages/broker/src/routing/cycle-b.ts'];
      writeFileSync(a, "import { b } from './cycle-b.js';\nexport const a = (): number => b();\n");
      writeFileSync(b, "import { a } from './cycle-a.js';\nexport const b = (): number => a();\n");
      try {
        expect(await lint(a)).toContain('no-cycle');
      } finally {
        rmSync(a);
        rmSync(b);
      }
    });
  });
}
