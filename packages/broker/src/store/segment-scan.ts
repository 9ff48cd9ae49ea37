import type { File } from './file-system.js';
import { type RawRecord, readRecord } from './record.js';
import { SEGMENT_HEADER_BYTES } from './segment.js';

/** One read of a scan. Bytes. */
const SCAN_BYTES = 1024 * 1024;

export type Scanned =
  | { readonly ok: true; readonly record: RawRecord; readonly offset: number }
  /** A record that does not read; the scan ends with it. */
  | { readonly ok: false; readonly why: string; readonly offset: number };

/** Whatever `at` may be up to: nothing of the file from there on is asked for. Default: the whole file. */
export interface ScanRange {
  readonly from?: number;
  readonly to: number;
}

/**
 * The records of a segment file in order, read part by part. A record's payload is good until the next one is asked
 * for. Ends after the first that does not read, which is the last value.
 */
export async function* scanSegment(
  file: File,
  { from = SEGMENT_HEADER_BYTES, to }: ScanRange,
): AsyncGenerator<readonly Scanned[]> {
  let offset = from;
  let bytes = SCAN_BYTES;
  while (offset < to) {
    const wanted = Math.min(bytes, to - offset);
    const buffer = Buffer.allocUnsafe(wanted);
    const part = buffer.subarray(0, await file.read(buffer, offset));
    const scanned: Scanned[] = [];
    let at = 0;
    let needs = 0;
    while (at < part.length) {
      const check = readRecord(part, at);
      if (!check.ok) {
        needs = check.needs ?? 0;
        // Cut off by this part only: the next one starts with it.
        if (needs > 0 && offset + at + needs <= to && part.length === wanted) break;
        scanned.push({ ok: false, why: check.why, offset: offset + at });
        yield scanned;
        return;
      }
      scanned.push({ ok: true, record: check.record, offset: offset + at });
      at += check.record.length;
      needs = 0;
    }
    yield scanned;
    // A file that is shorter than it was said to be: nothing more comes.
    if (part.length < wanted && at === part.length) return;
    offset += at;
    bytes = Math.max(SCAN_BYTES, needs);
  }
}
