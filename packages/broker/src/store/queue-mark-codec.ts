import type { ByteReader, ByteWriter } from '../message/table-codec.js';
import type { Marks, QueueMark } from './message-store.js';

/** In the count of a record's queues: marks follow the ids. {@link LIMITS.queuesPerMessageMax} leaves the bit free. */
const MARKED_BIT = 0x8000;
/** place u16, expires at u64, ready at u64, priority u8 */
const MARK_BYTES = 19;

/** A mark that says nothing is not written. */
export function isMarked(mark: QueueMark | undefined): mark is QueueMark {
  return mark !== undefined && (mark.expiresAt !== 0 || mark.readyAt !== 0 || mark.priority !== 0);
}

/** What a record says of its queues. */
export interface RecordQueues {
  readonly queueIds: readonly number[];
  /** @default no queue has one */
  readonly marks?: Marks | undefined;
}

/**
 * queue count u16, that many queue ids u32. With the count's highest bit set, then: count of marks u16, and so often the
 * queue's place among the ids u16, expires at u64, ready at u64, priority u8.
 */
export function writeQueues(out: ByteWriter, queueIds: readonly number[], marks: Marks | undefined): void {
  const marked = marks?.some(isMarked) === true ? marks : undefined;
  out.uint16(queueIds.length + (marked === undefined ? 0 : MARKED_BIT));
  for (const id of queueIds) out.uint32(id);
  if (marked !== undefined) writeMarks(out, marked);
}

function writeMarks(out: ByteWriter, marks: Marks): void {
  out.uint16(marks.filter(isMarked).length);
  for (const [place, mark] of marks.entries()) {
    if (!isMarked(mark)) continue;
    out.uint16(place);
    out.uint64(mark.expiresAt);
    out.uint64(mark.readyAt);
    out.uint8(mark.priority);
  }
}

export function readQueues(from: ByteReader): RecordQueues {
  const count = from.uint16();
  const queueIds = Array.from({ length: count & ~MARKED_BIT }, () => from.uint32());
  return (count & MARKED_BIT) === 0 ? { queueIds } : { queueIds, marks: readMarks(from, queueIds.length) };
}

/** Throws RangeError for a mark of no queue. */
function readMarks(from: ByteReader, queues: number): Marks {
  const marks = Array.from({ length: queues }, (): QueueMark | undefined => undefined);
  for (let left = from.uint16(); left > 0; left--) {
    const place = from.uint16();
    if (place >= queues) throw new RangeError(`a mark is of queue ${place}, of ${queues}`);
    marks[place] = { expiresAt: from.uint64(), readyAt: from.uint64(), priority: from.uint8() };
  }
  return marks;
}

export function skipQueues(from: ByteReader): void {
  const count = from.uint16();
  from.skip((count & ~MARKED_BIT) * 4);
  if ((count & MARKED_BIT) !== 0) from.skip(from.uint16() * MARK_BYTES);
}
