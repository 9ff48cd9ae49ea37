import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acquireSocketFile, type SocketFile } from './socket-file-lock.js';

const ROUNDS = 30;
const CANDIDATES = 8;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-lock-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Leaves a socket behind as a process does that is killed: the file is there, and nobody listens. */
async function leaveStale(name: string): Promise<void> {
  const at = JSON.stringify(join(directory, name));
  const program = `require('net').createServer().listen(${at}, () => process.kill(process.pid, 'SIGKILL'))`;
  const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
  await new Promise((resolve) => {
    child.once('exit', resolve);
  });
}

/** All who try at once, and get it. */
async function race(candidates: number): Promise<SocketFile[]> {
  const tries = Array.from({ length: candidates }, () => acquireSocketFile(directory, directory));
  return (await Promise.all(tries)).filter((one) => one !== undefined);
}

/** Who comes too late may leave a name, which the next owner removes. */
async function assertNothingIsLeft(): Promise<void> {
  const [owner] = await race(1);
  expect(readdirSync(directory)).toEqual(['broker.sock']);
  await owner?.release();
  expect(readdirSync(directory)).toEqual([]);
}

describe('the socket file of a directory', () => {
  it('is given to one of all who try at once, and to nobody while that one has it', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const owners = await race(CANDIDATES);
      expect(owners.length).toBe(1);
      expect(await race(2)).toEqual([]);
      await owners[0]?.release();
    }
    await assertNothingIsLeft();
  });

  it('is taken over by one of them where a crash has left it without a listener', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await leaveStale('broker.sock');
      const owners = await race(CANDIDATES);
      expect(owners.length).toBe(1);
      await owners[0]?.release();
    }
    await assertNothingIsLeft();
  }, 60_000);

  it('is taken over by one of them also where others were killed while they took it over', async () => {
    for (let round = 0; round < ROUNDS / 3; round++) {
      let name = 'broker.sock';
      for (let dead = 0; dead < 3; dead++) {
        await leaveStale(name);
        name = `broker.sock.${statSync(join(directory, name), { bigint: true }).ino.toString(36)}`;
      }
      expect(readdirSync(directory).length).toBe(3);
      const owners = await race(CANDIDATES);
      expect(owners.length).toBe(1);
      expect(await race(2)).toEqual([]);
      await owners[0]?.release();
    }
    await assertNothingIsLeft();
  }, 60_000);

  it('is not given twice by a release in between', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [owner] = await race(1);
      const [, owners] = await Promise.all([owner?.release(), race(CANDIDATES)]);
      expect(owners.length).toBeLessThanOrEqual(1);
      for (const one of owners) await one.release();
    }
    await assertNothingIsLeft();
  });

  it('is refused with the reason of the disk when it can not be looked at', async () => {
    mkdirSync(join(directory, 'broker.sock', 'in-the-way'), { recursive: true });
    await expect(race(1)).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
    expect(readdirSync(directory)).toEqual(['broker.sock']);
  });
});
