import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../random.js';

export interface CrashResult {
  readonly kills: number;
  readonly confirmed: number;
  /** Deliveries that a handler brought to its end, in both services together. */
  readonly handled: number;
  /** Of these, those flagged redelivered. */
  readonly redelivered: number;
  /** Of these, those of a number that the same service had handled before. */
  readonly repeated: number;
  /** Confirmed numbers that a service never handled. */
  readonly lost: number;
  /** Deliveries after everything had been handled and acked, and the application closed and started again. */
  readonly resurrected: number;
}

const SERVICES = ['one', 'two'];
/** Kills come this long after the application is ready. Milliseconds. */
const LIFE_MS_MAX = 250;

/**
 * Kills a working application with SIGKILL again and again, then lets it finish. Resolves with what became of the
 * confirmed messages; the same seed gives the same moments (the machine adds its own noise).
 */
export async function crashLoop(kills: number, seed: number): Promise<CrashResult> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-crash-'));
  const random = seededRandom(seed);
  try {
    for (let kill = 0; kill < kills; kill++) {
      // Numbers never repeat between lives: each life has a million of its own.
      await life(directory, String(kill * 1_000_000), random() * LIFE_MS_MAX);
    }
    await life(directory, 'drain');
    const handled = lines(`${directory}/handled.txt`);
    await life(directory, 'drain');
    const resurrected = lines(`${directory}/handled.txt`).length - handled.length;
    return { kills, ...tally(lines(`${directory}/confirmed.txt`), handled), resurrected };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One life of the application: to its own end, or until it is killed. Rejects when it ends in another way. */
function life(directory: string, mode: string, killAfterMs?: number): Promise<void> {
  const worker = join(
    dirname(fileURLToPath(import.meta.url)).replace(/\/test\/crash$/, '/test/dist/crash'),
    'worker.js',
  );
  const child = spawn(process.execPath, [worker, directory, mode], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.stdout.once('data', () => {
    if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  });
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => {
      const expected = killAfterMs === undefined ? code === 0 : signal === 'SIGKILL';
      if (expected) resolve();
      else reject(new Error(`the application ended with ${String(signal ?? code)} in '${mode}':\n${errors}`));
    });
  });
}

function tally(confirmed: string[], handled: string[]): Omit<CrashResult, 'kills' | 'resurrected'> {
  const seen = new Set<string>();
  let redelivered = 0;
  let repeated = 0;
  for (const line of handled) {
    const [service, number, flag] = line.split(' ');
    if (flag === 'r') redelivered++;
    if (seen.has(`${service} ${number}`)) repeated++;
    seen.add(`${service} ${number}`);
  }
  const lost = confirmed.filter((number) => SERVICES.some((service) => !seen.has(`${service} ${number}`)));
  return { confirmed: confirmed.length, handled: handled.length, redelivered, repeated, lost: lost.length };
}

function lines(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}
