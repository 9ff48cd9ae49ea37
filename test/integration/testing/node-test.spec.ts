import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';

const run = promisify(execFile);

describe('the harness without Jest', () => {
  it("works in Node's own test runner, whose process ends by itself", async () => {
    const { stdout } = await run(
      process.execPath,
      ['--test', '--test-reporter=tap', 'test/dist/integration/testing/node-test.example.js'],
      // Jest's own are not for another process.
      { env: { PATH: process.env['PATH'] }, timeout: 20_000 },
    );
    expect(stdout).toMatch(/# pass 1\n/);
    expect(stdout).toMatch(/# fail 0\n/);
  });

  it('works in vitest, with its own expect, and without a build of the test', async () => {
    const { stdout } = await run(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--root', 'test/integration/testing/vitest'],
      { env: { PATH: process.env['PATH'], NO_COLOR: '1' }, timeout: 60_000 },
    );
    expect(stdout).toMatch(/Tests +2 passed \(2\)/);
  }, 60_000);
});
