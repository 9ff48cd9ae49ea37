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
});
