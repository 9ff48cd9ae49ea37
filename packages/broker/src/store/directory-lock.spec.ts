import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acquireDirectory } from './directory-lock.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Another process that listens where an owner of another network namespace would: on the socket file alone. */
async function foreignOwner(): Promise<ChildProcess> {
  const program = `require('net').createServer().listen(${JSON.stringify(join(directory, 'broker.sock'))}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => {
    child.stdout.once('data', resolve);
  });
  return child;
}

describe('the lock on a directory', () => {
  it('is held by one at a time, and leaves nothing behind when it is released', async () => {
    const lock = await acquireDirectory(directory);
    await expect(acquireDirectory(directory)).rejects.toMatchObject({
      code: 'DIRECTORY_LOCKED',
      message: expect.stringMatching(
        /belongs to a broker that is running\. Stop the other process, or give this one a directory/,
      ),
    });
    await lock.release();
    await lock.release();
    expect(readdirSync(directory)).toEqual([]);
    await (await acquireDirectory(directory)).release();
  });

  it('is the same by another way to the directory', async () => {
    const lock = await acquireDirectory(directory);
    await expect(acquireDirectory(`${directory}/../${directory.split('/').at(-1)}`)).rejects.toThrow(
      'belongs to a broker',
    );
    await lock.release();
  });

  it('of a process of another network namespace is seen, and is gone with that process', async () => {
    const owner = await foreignOwner();
    await expect(acquireDirectory(directory)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
    const ended = new Promise((resolve) => {
      owner.once('exit', resolve);
    });
    owner.kill('SIGKILL');
    await ended;
    // The socket file of the killed process is still there, and does not matter.
    expect(readdirSync(directory)).toEqual(['broker.sock']);
    await (await acquireDirectory(directory)).release();
  });

  it('is not hindered by a file that is no socket', async () => {
    writeFileSync(join(directory, 'broker.sock'), 'left by a copy');
    await (await acquireDirectory(directory)).release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('works in a directory whose path is too long for a socket', async () => {
    const deep = join(directory, 'd'.repeat(100), 'e'.repeat(100));
    mkdirSync(deep, { recursive: true });
    const lock = await acquireDirectory(deep);
    await expect(acquireDirectory(deep)).rejects.toThrow('belongs to a broker');
    await lock.release();
  });

  it("does not take away another's socket file when it is released", async () => {
    const lock = await acquireDirectory(directory);
    rmSync(join(directory, 'broker.sock'));
    const other = createServer();
    await new Promise<void>((resolve) => {
      other.listen(join(directory, 'broker.sock'), resolve);
    });
    await lock.release();
    expect(readdirSync(directory)).toEqual(['broker.sock']);
    await new Promise((resolve) => {
      other.close(resolve);
    });
  });
});
