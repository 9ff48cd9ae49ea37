import { cpSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../random.js';
import { EngineLives, type EngineMode, type EngineResult } from './engine-lives.js';
import type { Life } from './life.js';
import { inDirectory, isClean, type Skipped } from './phase.js';
import { Tmpfs } from './tmpfs.js';

export interface FullDiskResult extends EngineResult {
  /** Kills of a publisher that had found the disk full. */
  readonly killsWhenFull: number;
  /** Consumers whose store failed, so that they made no room: the disk was made larger for the next one. */
  readonly relieved: number;
}

const AFTER = { publish: 'consume', consume: 'work', work: 'publish' } as const;
const DISK_BYTES = 4 * 1024 * 1024;
const RELIEF_BYTES = 1024 * 1024;
/** Kills come so long after the disk was found full, or a consumer has opened, at most. Milliseconds. */
const LIFE_MS_MAX = 100;

/** A publisher fills the disk up to where it is blocked, a consumer makes room, and both are killed. */
export function fullDiskPhase(kills: number, seed: number): Promise<FullDiskResult | Skipped> {
  return filling('full-disk', kills, seed);
}

/** The same without a limit: writes fail, and sometimes only more disk helps. */
export function noSpacePhase(kills: number, seed: number): Promise<FullDiskResult | Skipped> {
  return filling('no-space', kills, seed);
}

function filling(
  phase: 'full-disk' | 'no-space',
  kills: number,
  seed: number,
): Promise<FullDiskResult | Skipped> {
  return inDirectory(phase, async (directory) => {
    const disk = Tmpfs.mount(`${directory}/disk`, DISK_BYTES);
    if (typeof disk === 'string') return { skipped: disk };
    try {
      const result = await filledAndEmptied(new EngineLives(phase, directory, `${directory}/disk/mq`), disk, {
        kills,
        random: seededRandom(seed),
      });
      if (!isClean(result)) keep(disk, directory);
      return result;
    } catch (error) {
      keep(disk, directory);
      throw error;
    } finally {
      disk.unmount();
    }
  });
}

/** In turn: a publisher, a consumer who makes room, again one when that failed, and both at once. */
async function filledAndEmptied(
  lives: EngineLives,
  disk: Tmpfs,
  { kills, random }: { readonly kills: number; readonly random: () => number },
): Promise<FullDiskResult> {
  let [killsWhenFull, relieved, mode] = [0, 0, 'publish' as EngineMode];
  while (lives.kills < kills) {
    const life = await killed(lives, mode, random() * LIFE_MS_MAX);
    if (mode === 'publish') killsWhenFull++;
    const stuck = mode === 'consume' && life.count('failed') > 0;
    if (stuck) relieved++;
    disk.resize(stuck ? disk.bytes + RELIEF_BYTES : DISK_BYTES);
    mode = stuck ? 'consume' : AFTER[mode];
  }
  if (!(await drains(lives))) {
    relieved++;
    disk.resize(disk.bytes + RELIEF_BYTES);
  }
  return { kills, ...(await lives.verdict()), killsWhenFull, relieved };
}

/** A life that goes on for so long after the disk was found full, or without a publisher, after it has opened. */
function killed(lives: EngineLives, mode: EngineMode, afterMs: number): Promise<Life> {
  return lives.killed(mode, async (life) => {
    await life.said(mode === 'publish' ? 'full' : 'ready');
    await delay(afterMs);
  });
}

async function drains(lives: EngineLives): Promise<boolean> {
  try {
    await lives.drained();
    return true;
  } catch {
    return false;
  }
}

/** The disk goes with the mount. A socket can't be copied, and says nothing. */
function keep(disk: Tmpfs, directory: string): void {
  cpSync(disk.directory, `${directory}/disk-as-it-was`, {
    recursive: true,
    filter: (source) => !source.endsWith('.sock'),
  });
}
