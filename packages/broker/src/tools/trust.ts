import {
  COMMIT_RECORD_BYTES,
  type Position,
  positionOf,
  type RawRecord,
  readCommit,
  RECORD_TYPE,
} from '../store/record.js';
import { isKeyOf } from '../store/recovery.js';
import { SegmentIndex } from '../store/segment-index.js';

/**
 * After damage a record that reads may be one of the journal's, or bytes in the body of a message that look like one:
 * whether it is one of the journal's, as far as one can tell.
 *
 * `certain`: it is. `likely`: it may be, and gives a sequence that fits. `possible`: nothing speaks against it.
 */
export type Verdict = 'certain' | 'likely' | 'possible' | 'no';

export interface Trust {
  judge(record: RawRecord, offset: number): Verdict;
}

/** What is known of the sequences that were given where the damage is. */
export interface Surroundings {
  readonly segment: number;
  /** The segment's key; undefined when it is lost. */
  readonly key: number | undefined;
  /** The last one before it. */
  readonly after: number;
  /** All are below: the first of the next segment, or Infinity. */
  readonly below: number;
}

/** Without an index: by what the journal says before and behind the damage. */
export function trustBySequence({ segment, key, after, below }: Surroundings): Trust {
  return {
    judge(record, offset) {
      if (record.type === RECORD_TYPE.commit) return judgeCommit(record, positionOf(segment, offset), key);
      const says = whatItSays(record, offset);
      if (says === undefined) return 'no';
      const given = [...says.sequences.values(), ...says.definitions.map(({ sequence }) => sequence)];
      const told = [...says.settledSequences.values(), ...says.countedSequences.values()];
      const bodies = says.bodyPositions.values();
      if (!given.every((sequence) => sequence > 0 && sequence < below)) return 'no';
      if (!told.every((sequence) => sequence < below)) return 'no';
      if (!bodies.every((position) => position < positionOf(segment, offset))) return 'no';
      // A copy has the sequence of long ago. It may be all that is left of its message.
      if (record.type === RECORD_TYPE.copy) return 'likely';
      if (!given.every((sequence) => sequence > after)) return 'no';
      return given.length > 0 ? 'likely' : 'possible';
    },
  };
}

/** With the index of the segment as it was: a record is one of its own when it says nothing that the index does not. */
export function trustByIndex(
  { segment, key }: Pick<Surroundings, 'segment' | 'key'>,
  index: SegmentIndex,
): Trust {
  const known = sayingsOf(index);
  return {
    judge(record, offset) {
      if (record.type === RECORD_TYPE.commit) return judgeCommit(record, positionOf(segment, offset), key);
      const says = whatItSays(record, offset);
      if (says === undefined || ![...sayingsOf(says)].every((one) => known.has(one))) return 'no';
      return record.type === RECORD_TYPE.gap ? 'possible' : 'certain';
    },
  };
}

/** All that an index says, each a text of its own. */
function sayingsOf(index: SegmentIndex): Set<string> {
  const says = new Set<string>();
  const { sequences, offsets, queueIds } = index;
  for (let i = 0; i < sequences.length; i++)
    says.add(`at ${offsets.array[i]}: ${queueIds.array[i]} ${sequences.array[i]}`);
  const { markedRows, expiresAt, readyAt, priorities } = index;
  for (const [i, row] of markedRows.values().entries()) {
    const mark = [expiresAt.array[i], readyAt.array[i], priorities.array[i]].join(' ');
    says.add(`at ${offsets.array[row]}, marked ${mark}: ${queueIds.array[row]} ${sequences.array[row]}`);
  }
  const { settledSequences, settledQueueIds } = index;
  for (let i = 0; i < settledSequences.length; i++)
    says.add(`settled: ${settledQueueIds.array[i]} ${settledSequences.array[i]}`);
  const { countedSequences, countedQueueIds, counts, delayedRows, delayedUntil } = index;
  const delays = new Map([...delayedRows.values()].map((row, i) => [row, delayedUntil.array[i]]));
  for (let i = 0; i < counts.length; i++) {
    const said = `${counts.array[i]} times, ready at ${delays.get(i) ?? 0}`;
    says.add(`${said}: ${countedQueueIds.array[i]} ${countedSequences.array[i]}`);
  }
  for (const one of [...index.discards, ...index.definitions]) says.add(JSON.stringify(one));
  return says;
}

function judgeCommit(record: RawRecord, position: Position, key: number | undefined): Verdict {
  if (record.length !== COMMIT_RECORD_BYTES) return 'no';
  const { at } = record.payload;
  const commit = readCommit(record.payload);
  record.payload.at = at;
  const isOwn = commit.position === position && isKeyOf(commit, key);
  return isOwn && commit.durableUpTo <= position ? 'certain' : 'no';
}

/** What the record would do to the queues, or undefined when it is none that can be read. */
function whatItSays(record: RawRecord, offset: number): SegmentIndex | undefined {
  const { payload } = record;
  const { at } = payload;
  const says = new SegmentIndex();
  try {
    says.add(record, offset);
    return says;
  } catch {
    return undefined;
  } finally {
    payload.at = at;
  }
}

/** Whether a record may begin here, by its first bytes: so that few checksums are made while one is looked for. */
export function mayBegin(bytes: Buffer, at: number, offset: number, surroundings: Surroundings): boolean {
  const { segment, after, below } = surroundings;
  const type = bytes[at + 8] as number;
  if (bytes[at + 9] !== 0 || bytes[at + 10] !== 0 || bytes[at + 11] !== 0) return false;
  if (type < RECORD_TYPE.commit || type > RECORD_TYPE.gap) return false;
  const length = bytes.readUInt32BE(at);
  const payload = at + 12;
  if (length < 12 || at + length > bytes.length) return false;
  const u64 = (from: number): number =>
    from + 8 > at + length ? -1 : bytes.readUInt32BE(from) * 2 ** 32 + bytes.readUInt32BE(from + 4);
  const isGiven = (sequence: number): boolean => sequence > after && sequence < below;
  const isTold = (sequence: number): boolean => sequence >= 0 && sequence < below;
  switch (type) {
    case RECORD_TYPE.commit:
      return length === COMMIT_RECORD_BYTES && u64(payload) === positionOf(segment, offset);
    case RECORD_TYPE.publish:
    case RECORD_TYPE.move:
    case RECORD_TYPE.define:
      return isGiven(u64(payload));
    case RECORD_TYPE.settle:
      return (length - 12) % 12 === 0 && isTold(u64(payload + 4));
    case RECORD_TYPE.requeue:
      return (length === 28 || length === 36) && isTold(u64(payload + 4));
    case RECORD_TYPE.discard:
      return length % 8 === 0 && isTold(u64(payload + 4));
    case RECORD_TYPE.copy:
      return length >= 14 && isTold(u64(payload + 2 + 4 * bytes.readUInt16BE(payload)));
    case RECORD_TYPE.transaction:
      return length > 24 && mayBegin(bytes.subarray(0, at + length), payload, offset + 12, surroundings);
    default:
      return bytes.subarray(payload, Math.min(payload + 16, at + length)).every((byte) => byte === 0);
  }
}
