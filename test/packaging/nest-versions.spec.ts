import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { temporaryDirectory } from '../integration/app.js';
import { compile, install, MODULE_KINDS, pack, start } from './install.js';

/** The oldest that the peer range takes, and the newest. */
const NEST_VERSIONS = ['11.1.5', '^12.0.0'];

const REPORT = {
  seen: [
    ['order.placed', 7, 1],
    ['order.placed', 7, 2],
  ],
  // Two attempts, and five requests: 'relay' asks for 'sum'; 'nobody' reaches none.
  hooks: { start: 7, end: 7 },
  sum: 6,
  relayed: 9,
  several: [1, 2, 3],
  refused: { code: 'NO_FUNDS' },
  nobody: 'NoHandlerException',
};

const { path, remove } = temporaryDirectory();
const packs = join(path, 'packs');
await pack(packs);
const installed = new Map(
  await Promise.all(
    NEST_VERSIONS.map(async (version): Promise<[string, boolean]> => {
      return [version, await install(join(path, version), packs, version)];
    }),
  ),
);
afterAll(remove);

describe.each(NEST_VERSIONS)('the packed packages beside Nest %s', (version) => {
  const directory = join(path, version);
  const isThere = installed.get(version) === true;
  beforeAll(async () => {
    if (isThere) await compile(directory);
  });

  it.each(MODULE_KINDS)(
    'compile with all types checked, and run on file: and memory:, as %s',
    async (kind) => {
      if (!isThere) return;
      expect(await start(directory, kind)).toEqual({
        file: REPORT,
        memory: REPORT,
        amqp: expect.stringContaining('npm install amqplib'),
      });
    },
  );
});
