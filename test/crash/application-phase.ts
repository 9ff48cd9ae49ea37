import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../random.js';
import { Life } from './life.js';
import { inDirectory, type PhaseResult } from './phase.js';

export interface ApplicationResult extends PhaseResult {
  /** Of the handled, those flagged redelivered. */
  readonly redelivered: number;
}

const SERVICES = ['one', 'two'];
/** Kills come this long after the application is ready. Milliseconds. */
const LIFE_MS_MAX = 250;

/**
 * Kills a working application with SIGKILL again and again, then lets it finish. Resolves with what became of the
 * confirmed messages in both services together: lost is what one of them never handled; resurrected is what came after
 * everything had been handled and acked, and the application closed and started again.
 */
export function applicationPhase(kills: number, seed: number): Promise<ApplicationResult> {
  const random = seededRandom(seed);
  return inDirectory('application', async (directory) => {
    for (let kill = 0; kill < kills; kill++) {
      // Numbers never repeat between lives: each life has a million of its own.
      await killed(directory, String(kill * 1_000_000), random() * LIFE_MS_MAX);
    }
    await drained(directory);
    const handled = lines(`${directory}/handled.txt`);
    await drained(directory);
    const resurrected = lines(`${directory}/handled.txt`).length - handled.length;
    return { kills, ...tally(lines(`${directory}/confirmed.txt`), handled), resurrected };
  });
}

async function killed(directory: string, first: string, afterMs: number): Promise<void> {
  const life = new Life('application-worker', [directory, first]);
  await life.said('ready');
  await delay(afterMs);
  await life.kill();
}

async function drained(directory: string): Promise<void> {
  await new Life('application-worker', [directory, 'drain']).finished();
}

function tally(confirmed: string[], handled: string[]): Omit<ApplicationResult, 'kills' | 'resurrected'> {
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
