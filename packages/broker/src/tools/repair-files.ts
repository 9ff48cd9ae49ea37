import { crc32 } from 'node:zlib';
import { systemCodeOf } from '../errors.js';
import { DurableMark } from '../store/durable-mark.js';
import type { File, FileSystem } from '../store/file-system.js';
import { removeIfThere } from '../store/index-file.js';
import { type Position, RECORD_HEADER_BYTES, RECORD_TYPE } from '../store/record.js';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../store/segment.js';
import { readPatiently } from './patient-file.js';
import type { SegmentPlan } from './repair-plan.js';

const PART_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(PART_BYTES);

/** A file beside the one whose place it will take. */
export function fresh(name: string): string {
  return `${name}.new`;
}

/** Makes a file over what an earlier try may have left, and syncs what `write` writes. */
export async function writeFresh(
  fileSystem: FileSystem,
  path: string,
  write: (file: File) => Promise<void>,
): Promise<void> {
  await removeIfThere(fileSystem, path);
  const file = await fileSystem.open(path, 'create');
  try {
    await write(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes a segment as it is to be: what reads at its old place, gaps where it does not. */
export async function writeRepaired(
  from: File | undefined,
  to: File,
  { header, gaps, end }: SegmentPlan,
): Promise<void> {
  if (header !== undefined) await to.write(encodeSegmentHeader(header), 0);
  let at = header === undefined ? 0 : SEGMENT_HEADER_BYTES;
  for (const gap of [...gaps, { from: end, to: end }]) {
    if (from !== undefined) await copyRange(from, to, at, gap.from);
    if (gap.to > gap.from) await writeGap(to, gap.from, gap.to - gap.from);
    at = gap.to;
  }
}

async function copyRange(from: File, to: File, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += PART_BYTES) {
    const part = Buffer.allocUnsafe(Math.min(PART_BYTES, end - at));
    await to.write(part.subarray(0, await readPatiently(from, part, at)), at);
  }
}

/** A record of type gap: its header, then zeros. */
async function writeGap(to: File, at: number, length: number): Promise<void> {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  header.writeUInt32BE(length, 0);
  header.writeUInt8(RECORD_TYPE.gap, 8);
  let sum = crc32(header.subarray(8), length);
  for (let left = length - RECORD_HEADER_BYTES; left > 0; left -= PART_BYTES) {
    const zeros = ZEROS.subarray(0, Math.min(PART_BYTES, left));
    await to.write(zeros, at + length - left);
    sum = crc32(zeros, sum);
  }
  header.writeUInt32BE(sum, 4);
  await to.write(header, at);
}

export async function writeMark(
  fileSystem: FileSystem,
  path: string,
  { position, firstSegment }: { readonly position: Position; readonly firstSegment: number },
): Promise<void> {
  await removeIfThere(fileSystem, path);
  const { mark } = await DurableMark.open(fileSystem, path);
  try {
    await mark.write(position);
    await mark.forgetBefore(firstSegment);
  } finally {
    await mark.close();
  }
}

// ---------------------------------------------------------------- quarantine

/** Where originals go: a directory of their own, beside the journal. */
export class Quarantine {
  constructor(
    private readonly fileSystem: FileSystem,
    private readonly journal: string,
    readonly directory: string,
  ) {}

  /** The fresh file takes the place of the original, if there is one, which is in quarantine before. */
  async replace(name: string): Promise<void> {
    const { fileSystem, journal } = this;
    await this.#keep(name);
    await fileSystem.rename(`${journal}/${fresh(name)}`, `${journal}/${name}`);
    await fileSystem.syncDirectory(journal);
  }

  /** Takes a file out of the journal. */
  async take(name: string): Promise<void> {
    await this.#keep(name);
    await removeIfThere(this.fileSystem, `${this.journal}/${name}`);
    await this.fileSystem.syncDirectory(this.journal);
  }

  /** A second name for the original, so that there is no moment without it; a copy where the disk has no such thing. */
  async #keep(name: string): Promise<void> {
    const { fileSystem, journal, directory } = this;
    const [from, to] = [`${journal}/${name}`, `${directory}/${name}`];
    try {
      await fileSystem.link(from, to).catch((error: unknown) => {
        if (!hasNoLinks(error)) throw error;
        return copyFile(fileSystem, from, to);
      });
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return;
      throw error;
    }
    await fileSystem.syncDirectory(directory);
  }
}

function hasNoLinks(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCodeOf(error) ?? '');
}

async function copyFile(fileSystem: FileSystem, from: string, to: string): Promise<void> {
  const original = await fileSystem.open(from, 'read');
  try {
    await writeFresh(fileSystem, to, async (file) => copyRange(original, file, 0, await original.size()));
  } finally {
    await original.close();
  }
}

/** `quarantine-20260131T235959Z`; with a number behind it when there is one of this second. */
export function quarantineName(nowMs: number, taken: readonly string[]): string {
  const name = `quarantine-${new Date(nowMs).toISOString().replace(/\.\d+|[-:]/g, '')}`;
  let free = name;
  for (let i = 2; taken.includes(free); i++) free = `${name}-${i}`;
  return free;
}
