import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

let directory: string;
let first: ChildProcess | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-second-'));
});
afterEach(() => {
  first?.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

/** The application of the phase `application`, in a process of its own. */
function start(mode: string): ChildProcess {
  return spawn(process.execPath, [resolve('test/dist/crash/application-worker.js'), directory, mode], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function ended(child: ChildProcess): Promise<{ code: number | null; errors: string }> {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((done) => {
    child.once('close', (code) => done({ code, errors }));
  });
}

describe('a second process on the directory of a running application', () => {
  it('is refused with cause and cure, harms nothing, and may have it once the first was killed', async () => {
    const running = start('0');
    first = running;
    await new Promise((ready) => {
      running.stdout?.once('data', ready);
    });
    const second = await ended(start('drain'));
    expect(second.code).toBe(1);
    expect(second.errors).toContain('belongs to a broker that is running. Stop the other process');
    expect(running.exitCode).toBeNull();

    const killed = ended(running);
    running.kill('SIGKILL');
    await killed;
    expect(await ended(start('drain'))).toMatchObject({ code: 0 });
  });
});
