import { crc32 } from 'node:zlib';
import { readRecord, RECORD_HEADER_BYTES, RECORD_TYPE } from '../store/record.js';
import { mayBegin, type Surroundings, type Trust } from './trust.js';

/** Checksums made while one record is looked for; beyond, only commits are tried, which are short. Bytes. */
const CHECKSUM_BYTES_MAX = 2 ** 32;

/** Ends of records that a damaged length is tried with. */
const ENDS_TRIED_MAX = 64;

export interface Damaged {
  /** From the first byte that does not read, to the end of what may be read. */
  readonly bytes: Buffer;
  /** Where that is in the file. */
  readonly offset: number;
  readonly surroundings: Surroundings;
  readonly trust: Trust;
  /** The trust comes from an index: what it accepts needs no record behind it. */
  readonly indexed: boolean;
}

/**
 * How far behind the damage the journal goes on: where records read, one after the other, from there to a commit that
 * says where it is, to the end, or at least to the next damage. Undefined when it does not.
 */
export function nextReadable(damaged: Damaged): number | undefined {
  const { bytes, offset, surroundings, indexed } = damaged;
  if (!indexed) {
    const told = whereItEnds(damaged);
    if (told !== undefined) return told;
  }
  let checked = 0;
  for (let at = RECORD_HEADER_BYTES; at + RECORD_HEADER_BYTES <= bytes.length; at++) {
    if (!mayBegin(bytes, at, offset + at, surroundings)) continue;
    const isCommit = bytes[at + 8] === RECORD_TYPE.commit;
    if (!isCommit && (checked += bytes.readUInt32BE(at)) > CHECKSUM_BYTES_MAX) continue;
    if (!goesOn(damaged, at)) continue;
    if (indexed) return at;
    const end = wholeUpTo(damaged, at);
    if (end !== undefined) return end;
    if (mayFollow(damaged, at)) return at;
  }
  return undefined;
}

/**
 * Without an index the length of the damaged record itself is the best guess: so a body is not searched for records
 * when only the body is damaged. But of a transaction the records inside are kept that can be read: what begins behind
 * its header is one. Nothing else has a record there.
 */
function whereItEnds(damaged: Damaged): number | undefined {
  const { bytes } = damaged;
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  if (readsAt(damaged, RECORD_HEADER_BYTES)) return RECORD_HEADER_BYTES;
  const length = bytes.readUInt32BE(0);
  if (length < RECORD_HEADER_BYTES || length >= bytes.length) return undefined;
  return bytes[8] !== RECORD_TYPE.transaction && goesOn(damaged, length) ? length : undefined;
}

/**
 * Where the damaged record ends, if only its length is damaged: there its checksum is right. What was found before is in
 * its body. Looked for from `from` on, where records read one after the other.
 */
function wholeUpTo({ bytes }: Damaged, from: number): number | undefined {
  let at = from;
  for (let i = 0; i < ENDS_TRIED_MAX; i++) {
    if (crc32(bytes.subarray(8, at), at) === bytes.readUInt32BE(4)) return at;
    const check = readRecord(bytes, at);
    if (!check.ok) return undefined;
    at += check.record.length;
  }
  return undefined;
}

/**
 * Settlements alone are not believed where it is not known that a record begins: if they are bytes of a body, messages
 * would be lost, and if they are not, messages only come again.
 */
function mayFollow({ bytes, offset, trust }: Damaged, at: number): boolean {
  const check = readRecord(bytes, at);
  return check.ok && trust.judge(check.record, offset + at) !== 'possible';
}

function readsAt(damaged: Damaged, at: number): boolean {
  return readRecord(damaged.bytes, at).ok && goesOn(damaged, at);
}

function goesOn({ bytes, offset, trust, indexed }: Damaged, from: number): boolean {
  let likely = false;
  for (let at = from; at < bytes.length;) {
    const check = readRecord(bytes, at);
    if (!check.ok) return likely;
    const verdict = trust.judge(check.record, offset + at);
    if (verdict === 'no') return false;
    if (verdict === 'certain') return true;
    likely ||= verdict === 'likely' || indexed;
    at += check.record.length;
  }
  return true;
}
