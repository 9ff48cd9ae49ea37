import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BrokerError } from '../errors.js';

/**
 * The first bytes of a segment file. Integers are big-endian.
 *
 *     0      4         6     12       16               24             28       32
 *     +------+---------+-----+--------+----------------+--------------+--------+
 *     | NMQJ | version | key | number | first sequence | previous end | CRC-32 |
 *     +------+---------+-----+--------+----------------+--------------+--------+
 *
 * `key`: random, and repeated in each of the segment's commit records: so nobody who writes a message's body can put
 * something into it that is taken for one.
 * `first sequence`: after the next opening, sequences go on from here at least, even when all records before are gone.
 * `previous end`: how many bytes the segment before this one has, so that one that lost its end is noticed (J4).
 */
export const SEGMENT_HEADER_BYTES = 32;
export const FORMAT_VERSION = 3;
const MAGIC = 'NMQJ';

const KEY_BYTES = 6;

/** A key for a new segment, from the system's randomness. A whole number below 2^48. */
export function randomSegmentKey(): number {
  return randomBytes(KEY_BYTES).readUIntBE(0, KEY_BYTES);
}

export interface SegmentHeader {
  readonly key: number;
  readonly number: number;
  readonly firstSequence: number;
  readonly previousEnd: number;
}

/** A header as it was read. */
export interface ReadSegmentHeader extends SegmentHeader {
  /** Of the header: an index says by it which segment it was made for. */
  readonly checksum: number;
}

export function segmentFileName(number: number): string {
  return `${String(number).padStart(10, '0')}.segment`;
}

/** The number of the segment that a file name stands for, or undefined. */
export function segmentNumberOf(fileName: string): number | undefined {
  const match = /^(\d{10})\.segment$/.exec(fileName);
  return match === null ? undefined : Number(match[1]);
}

export function encodeSegmentHeader({ key, number, firstSequence, previousEnd }: SegmentHeader): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  header.write(MAGIC, 0, 'latin1');
  header.writeUInt16BE(FORMAT_VERSION, 4);
  header.writeUIntBE(key, 6, KEY_BYTES);
  header.writeUInt32BE(number, 12);
  header.writeBigUInt64BE(BigInt(firstSequence), 16);
  header.writeUInt32BE(previousEnd, 24);
  header.writeUInt32BE(crc32(header.subarray(0, 28)), 28);
  return header;
}

/**
 * Returns the header, or in words what is wrong with it. Throws JOURNAL_VERSION when it is whole but of a version
 * that this code does not know: never to be taken for damage.
 */
export function decodeSegmentHeader(buffer: Buffer, file: string): ReadSegmentHeader | string {
  if (buffer.length < SEGMENT_HEADER_BYTES) return 'the file ends inside the segment header';
  if (buffer.toString('latin1', 0, 4) !== MAGIC) return `the file does not start with ${MAGIC}`;
  if (crc32(buffer.subarray(0, 28)) !== buffer.readUInt32BE(28)) {
    return 'the checksum of the segment header does not match';
  }
  const version = buffer.readUInt16BE(4);
  if (version !== FORMAT_VERSION) {
    throw new BrokerError(
      'JOURNAL_VERSION',
      `${file} has format version ${version}; this release reads version ${FORMAT_VERSION}.`,
      { severity: 'broker', cure: 'Use the release of nestmq that wrote it; nothing was changed.' },
    );
  }
  return {
    key: buffer.readUIntBE(6, KEY_BYTES),
    number: buffer.readUInt32BE(12),
    firstSequence: Number(buffer.readBigUInt64BE(16)),
    previousEnd: buffer.readUInt32BE(24),
    checksum: buffer.readUInt32BE(28),
  };
}
