import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import { isPersistent } from '../message/message.js';
import { ByteWriter } from '../message/table-codec.js';
import type { Held, Publication } from './message-store.js';
import {
  beginRecord,
  endRecord,
  RECORD_HEADER_BYTES,
  RECORD_TYPE,
  writePublish,
  writeSettlements,
} from './record.js';

export interface EncodedTransaction {
  /** Undefined when nothing of it has to be written. */
  readonly record: Buffer | undefined;
  /** For each publication, where its own record lies in this one; undefined for one that has none. */
  readonly offsets: readonly (number | undefined)[];
  /** What it settles in durable queues. */
  readonly held: readonly Held[];
}

/** One record for all of it. Throws TRANSACTION_TOO_LARGE, and what encoding a message throws. */
export function encodeTransaction(
  publications: readonly Publication[],
  settled: readonly Held[],
  firstSequence: number,
): EncodedTransaction {
  const out = new ByteWriter();
  const start = beginRecord(out, RECORD_TYPE.transaction);
  const offsets = publications.map(({ message, journaledQueueIds, marks }, i) => {
    if (journaledQueueIds.length === 0 || !isPersistent(message)) return undefined;
    const offset = out.end;
    writePublish(out, firstSequence + i, journaledQueueIds, message, marks);
    return offset;
  });
  const held = settled.filter(({ position }) => position >= 0);
  if (held.length > 0) {
    writeSettlements(
      out,
      held.map(({ queueId }) => queueId),
      held.map(({ sequence }) => sequence),
    );
  }
  endRecord(out, start);
  if (out.end > LIMITS.transactionBytesMax) throw tooLarge(out.end);
  const isEmpty = out.end === RECORD_HEADER_BYTES;
  return { record: isEmpty ? undefined : out.buffer.subarray(0, out.end), offsets, held };
}

function tooLarge(bytes: number): BrokerError {
  return new BrokerError(
    'TRANSACTION_TOO_LARGE',
    `The transaction has ${bytes} bytes; the limit is ${LIMITS.transactionBytesMax}.`,
    { cure: 'Commit more often.' },
  );
}
