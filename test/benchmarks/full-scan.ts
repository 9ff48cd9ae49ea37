import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { crc32 } from 'node:zlib';

const READ_BYTES = 1024 * 1024;

/** The segments of the journal in a broker's directory, oldest first. */
export function segmentPaths(directory: string): string[] {
  return readdirSync(`${directory}/journal`)
    .filter((name) => name.endsWith('.segment'))
    .toSorted()
    .map((name) => `${directory}/journal/${name}`);
}

export function segmentBytes(directory: string): number {
  return segmentPaths(directory).reduce((bytes, path) => bytes + statSync(path).size, 0);
}

/** Reads every byte of the segments, in order and in reads of 1 MiB, and takes a CRC-32 of it. */
export async function fullScan(directory: string): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (const path of segmentPaths(directory)) {
    const file = openSync(path, 'r');
    let checksum = 0;
    let count = 0;
    do {
      count = readSync(file, buffer);
      checksum = crc32(buffer.subarray(0, count), checksum);
    } while (count > 0);
    closeSync(file);
  }
}
