import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { runBuilt, type Running } from '../built.js';

const startTour = (cwd: string, port: number): Running =>
  runBuilt('tour/main.js', [], { cwd, env: { PORT: String(port) } });

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
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');

    const second = startTour(directory, port);
    await second.until('writing to ada@example.org');
    second.child.kill('SIGTERM');
    await second.until('wrote to ada@example.org');
    expect(await second.ended).toBe('SIGTERM');
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
