import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** Starts the application of the tour, as it was built; `until` resolves when its output holds a text. */
function startTour(
  directory: string,
  port: number,
): { child: ChildProcess; until: (text: string) => Promise<void> } {
  const child = spawn(process.execPath, [resolve('sample/dist/tour/main.js')], {
    cwd: directory,
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let check: (() => void) | undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    check?.();
  });
  const until = (text: string): Promise<void> =>
    new Promise((done, fail) => {
      child.once('exit', (code, signal) =>
        fail(new Error(`ended with ${String(code ?? signal)} before '${text}':\n${output}`)),
      );
      check = () => {
        if (output.includes(text)) done();
      };
      check();
    });
  return { child, until };
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((done) => {
    child.once('exit', (code, signal) => done(code ?? signal));
  });
}

describe('the application of the tour', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'nestmq-tour-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('writes its letter after it was killed, and finishes it when it is asked to end', async () => {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const first = startTour(directory, port);
    await first.until('application successfully started');
    const answer = await signUp(`http://localhost:${port}/signup`);
    expect(answer).toEqual({ queued: 'ada@example.org' });
    await first.until('writing to ada@example.org');
    const killed = ended(first.child);
    first.child.kill('SIGKILL');
    expect(await killed).toBe('SIGKILL');

    const second = startTour(directory, port);
    await second.until('writing to ada@example.org');
    const finished = ended(second.child);
    second.child.kill('SIGTERM');
    await second.until('wrote to ada@example.org');
    expect(await finished).toBe('SIGTERM');
  });
});

async function signUp(url: string): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.org' }),
  });
  return response.json();
}
