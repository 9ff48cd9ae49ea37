import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const LOCK = pathToFileURL(resolve('packages/broker/dist/store/socket-file-lock.js')).href;
const PROCESSES = 8;
const ROUNDS = 25;

/** Tries when it is told to, and says what came of it. The socket file alone: as processes of different namespaces. */
const CANDIDATE = `
  const { acquireSocketFile } = await import(${JSON.stringify(LOCK)});
  process.stdin.on('data', async () => {
    const lock = await acquireSocketFile(process.argv[1], process.argv[1]).catch((error) => error);
    process.send(lock instanceof Error ? String(lock) : lock === undefined ? 'refused' : 'owner');
  });
  process.send('ready');
`;

let directory: string;
let running: ChildProcess[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-lock-race-'));
  running = [];
});
afterEach(async () => {
  await Promise.all([...running].map(kill));
  rmSync(directory, { recursive: true, force: true });
});

function word(child: ChildProcess): Promise<unknown> {
  return new Promise((said) => {
    child.once('message', said);
  });
}

async function start(): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CANDIDATE, directory], {
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  });
  running.push(child);
  await word(child);
}

async function kill(child: ChildProcess): Promise<void> {
  running.splice(running.indexOf(child), 1);
  const ended = new Promise((gone) => {
    child.once('exit', gone);
  });
  child.kill('SIGKILL');
  await ended;
}

describe('J10 of many processes that start at the same moment', () => {
  it('one becomes the owner, each time after the last owner was killed', async () => {
    while (running.length < PROCESSES) await start();
    for (let round = 0; round < ROUNDS; round++) {
      const words = Promise.all(running.map(word));
      for (const child of running) child.stdin?.write('go\n');
      const said = await words;
      const expected = Array<string>(PROCESSES - 1).fill('refused');
      expect(said.toSorted()).toEqual(['owner', ...expected]);
      await kill(running[said.indexOf('owner')] as ChildProcess);
      await start();
    }
  }, 60_000);
});
