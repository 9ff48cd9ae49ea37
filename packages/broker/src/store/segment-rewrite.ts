import type { Commit } from './commit.js';
import type { File, FileSystem } from './file-system.js';
import { removeIfThere } from './index-file.js';
import { SEGMENT_HEADER_BYTES } from './segment.js';
import { scanSegment } from './segment-scan.js';

export interface SegmentRewrite {
  readonly directory: string;
  readonly path: string;
  /** Up to here the segment is durable, and is copied. */
  readonly durableEnd: number;
  /** What follows, from memory. */
  readonly commits: readonly Commit[];
}

const COPY_BYTES = 1024 * 1024;

/**
 * Puts a new file in the place of a segment whose last writes failed. Everything is read back and checked before the
 * new file gets the name. Rejects, with the old file in place, when anything does not work.
 */
export async function rewriteSegment(
  fileSystem: FileSystem,
  { directory, path, durableEnd, commits }: SegmentRewrite,
): Promise<void> {
  const fresh = `${path}.new`;
  await removeIfThere(fileSystem, fresh);
  try {
    await writeFresh(fileSystem, fresh, { path, durableEnd, commits });
  } catch (error) {
    // What was begun must not take the room that the next try needs.
    await removeIfThere(fileSystem, fresh).catch(() => {});
    throw error;
  }
  await fileSystem.rename(fresh, path);
  await fileSystem.syncDirectory(directory);
}

async function writeFresh(
  fileSystem: FileSystem,
  fresh: string,
  { path, durableEnd, commits }: Omit<SegmentRewrite, 'directory'>,
): Promise<void> {
  const to = await fileSystem.open(fresh, 'create');
  try {
    const from = await fileSystem.open(path, 'read');
    try {
      await copyBytes(from, to, durableEnd);
    } finally {
      await from.close();
    }
    for (const commit of commits) await to.write(commit.bytes(), commit.start);
    await to.sync();
    await assertReads(to, commits.at(-1)?.end ?? durableEnd);
  } finally {
    await to.close();
  }
}

/** Throws when the file has fewer bytes. */
export async function copyBytes(from: File, to: File, end: number): Promise<void> {
  for (let at = 0; at < end; at += COPY_BYTES) {
    const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, end - at));
    const count = await from.read(buffer, at);
    if (count < buffer.length) throw new Error(`the file ends at ${at + count}, before ${end}`);
    await to.write(buffer, at);
  }
}

async function assertReads(file: File, end: number): Promise<void> {
  let readTo = SEGMENT_HEADER_BYTES;
  for await (const part of scanSegment(file, { to: end })) {
    for (const one of part) {
      if (!one.ok) throw new Error(`a record at ${one.offset} does not read: ${one.why}`);
      readTo = one.offset + one.record.length;
    }
  }
  if (readTo !== end) throw new Error(`the records end at ${readTo}, not at ${end}`);
}
