import { systemCodeOf } from '../errors.js';
import type { File } from '../store/file-system.js';

/** What a disk gives up at once. Bytes. */
const BLOCK_BYTES = 4096;

/**
 * Reads a file whose disk has bad blocks (EIO) as far as it goes: what can't be read are zeros, so that the records
 * there fail their checksums, and all others are read.
 */
export async function readPatiently(file: File, into: Uint8Array, position: number): Promise<number> {
  try {
    return await file.read(into, position);
  } catch (error) {
    if (systemCodeOf(error) !== 'EIO') throw error;
    return readBlocks(file, into, position);
  }
}

async function readBlocks(file: File, into: Uint8Array, position: number): Promise<number> {
  const end = Math.min(position + into.length, await file.size());
  for (let at = position; at < end;) {
    const blockEnd = Math.min(end, at - (at % BLOCK_BYTES) + BLOCK_BYTES);
    const block = into.subarray(at - position, blockEnd - position);
    try {
      await file.read(block, at);
    } catch (error) {
      if (systemCodeOf(error) !== 'EIO') throw error;
      block.fill(0);
    }
    at = blockEnd;
  }
  return Math.max(0, end - position);
}
