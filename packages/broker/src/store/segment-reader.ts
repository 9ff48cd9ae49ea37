import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import { ownBytes, ownProperties, withBody } from '../message/encoded-message.js';
import type { Message } from '../message/message.js';
import type { File, FileSystem } from './file-system.js';
import {
  offsetOf,
  type Position,
  type RawRecord,
  readCopiedMessage,
  readMessage,
  readMove,
  readRecord,
  RECORD_TYPE,
  segmentOf,
} from './record.js';
import { segmentFileName } from './segment.js';

/** The first read of a record whose length is not known yet. Bytes. */
const GUESS_BYTES = 4096;
/** What lies between two messages and is more than this is not read along. Bytes. */
const GAP_BYTES_MAX = 64 * 1024;

interface Window {
  readonly segment: number;
  readonly start: number;
  buffer: Buffer;
}

interface OpenSegment {
  readonly file: Promise<File>;
  /** The file, when it is open: then a read begins at once, and not after all that runs before an `await` goes on. */
  opened: File | undefined;
  /** Reads that are under way. */
  users: number;
  /** Not to be used again; closed when the last read has ended. */
  retired: boolean;
}

/** Reads messages back from segment files: neighbours in one read, each record's checksum checked (J4). */
export class SegmentReader {
  /** In order of use; the first is the least recently used. */
  readonly #open = new Map<number, OpenSegment>();
  readonly #reading = new Set<Promise<Message[]>>();

  /** Messages whose body lies in another record. */
  readonly #borrowing = new WeakSet<Message>();

  constructor(
    private readonly fileSystem: FileSystem,
    private readonly directory: string,
    /** Told where the body of a message lies that was moved and whose own record is at `position`. */
    private readonly onMoved: (message: Message, position: Position, bodyPosition: Position) => void,
  ) {}

  /** In order; stops, after one at least, when the bodies read have `bytesMax` bytes together. */
  async read(positions: readonly Position[], bytesMax: number): Promise<Message[]> {
    const reading = this.#read(positions, bytesMax);
    this.#reading.add(reading);
    try {
      return await reading;
    } finally {
      this.#reading.delete(reading);
    }
  }

  async #read(positions: readonly Position[], bytesMax: number): Promise<Message[]> {
    const messages: Message[] = [];
    let bytes = 0;
    let window: Window | undefined;
    let firstInWindow = 0;
    for (let i = 0; i < positions.length && (i === 0 || bytes < bytesMax); i++) {
      const position = positions[i] as Position;
      if (window === undefined || !covers(window, position)) {
        if (window !== undefined) this.#letGo(window, messages, firstInWindow);
        window = await this.#windowOver(positions, i);
        firstInWindow = i;
      }
      const check = readRecord(window.buffer, offsetOf(position) - window.start);
      const record = check.ok ? check.record : await this.#record(window, position);
      const message = messageIn(record) ?? (await this.#moved(record, position));
      bytes += message.body.length;
      messages.push(message);
    }
    if (window !== undefined) this.#letGo(window, messages, firstInWindow);
    return messages;
  }

  /** A window from the position at `from` over the positions that follow it closely. */
  async #windowOver(positions: readonly Position[], from: number): Promise<Window> {
    const first = positions[from] as Position;
    let last = first;
    // The last record is likely to be as long as the others; one that is cut off costs a second read of all.
    let longest = GUESS_BYTES;
    for (const next of positions.slice(from + 1)) {
      if (next < last || next - first > LIMITS.readAheadBytesMax || next - last > GAP_BYTES_MAX) break;
      if (segmentOf(next) !== segmentOf(first)) break;
      longest = Math.max(longest, next - last);
      last = next;
    }
    const window = { segment: segmentOf(first), start: offsetOf(first), buffer: Buffer.alloc(0) };
    await this.#fill(window, last - first + longest);
    return window;
  }

  async #fill(window: Window, bytes: number): Promise<void> {
    const open = this.#segment(window.segment);
    open.users++;
    try {
      const buffer = Buffer.allocUnsafe(bytes);
      const file = open.opened ?? (await open.file);
      const count = await file.read(buffer, window.start);
      window.buffer = buffer.subarray(0, count);
    } finally {
      open.users--;
      if (open.retired) await closeIfUnused(open);
    }
  }

  async #record(window: Window, position: Position): Promise<RawRecord> {
    const at = offsetOf(position) - window.start;
    let check = readRecord(window.buffer, at);
    if (!check.ok && check.needs !== undefined) {
      await this.#fill(window, at + check.needs);
      check = readRecord(window.buffer, at);
      // The header itself may have been cut off, and only now tells the length.
      if (!check.ok && check.needs !== undefined) {
        await this.#fill(window, at + check.needs);
        check = readRecord(window.buffer, at);
      }
    }
    if (check.ok) return check.record;
    throw this.#unreadable(position, check.why);
  }

  #unreadable(position: Position, why: string): BrokerError {
    return new BrokerError(
      'JOURNAL_DAMAGED',
      `${this.directory}/${segmentFileName(segmentOf(position))} can't be read at offset ${offsetOf(position)}: ${why}.`,
      {
        severity: 'broker',
        cure: 'Check the disk. `nestmq check` tells more, `nestmq repair` keeps what can be read.',
      },
    );
  }

  /**
   * Bodies and properties are parts of the window that they were read with, and keep all of it in memory. If they are less
   * than half of it, they get bytes of their own (J8).
   */
  #letGo({ buffer }: Window, messages: Message[], from: number): void {
    let bytes = 0;
    for (let i = from; i < messages.length; i++) {
      const { body, propertiesBytes } = messages[i] as Message;
      bytes += body.length + (propertiesBytes?.length ?? 0);
    }
    if (bytes * 2 >= buffer.length) return;
    for (let i = from; i < messages.length; i++) {
      const message = messages[i] as Message;
      const { body, propertiesBytes } = message;
      if (this.#borrowing.has(message)) continue;
      if (body.buffer === buffer.buffer || propertiesBytes?.buffer === buffer.buffer)
        messages[i] = ownBytes(message);
    }
  }

  async #moved(record: RawRecord, position: Position): Promise<Message> {
    if (record.type !== RECORD_TYPE.move) throw this.#unreadable(position, 'no message is there');
    const { message: envelope, body, bodyPosition } = readMove(record.payload);
    if (body !== undefined) return withBody(envelope, body);
    const [original] = await this.#read([bodyPosition], Infinity);
    // Its properties' own bytes: it is never replaced by a copy, since it is known by its identity from here on.
    const message = withBody(ownProperties(envelope), (original as Message).body);
    this.#borrowing.add(message);
    this.onMoved(message, position, bodyPosition);
    return message;
  }

  #segment(number: number): OpenSegment {
    let open = this.#open.get(number);
    if (open === undefined) {
      const file = this.fileSystem.open(`${this.directory}/${segmentFileName(number)}`, 'read');
      open = openSegment(file);
      file.catch(() => this.#open.delete(number));
    }
    this.#open.delete(number);
    this.#open.set(number, open);
    return open;
  }

  /** Lets go of a segment that is to be removed, and of files that were not used for long. */
  async forget(segment?: number): Promise<void> {
    const excess = [...this.#open.keys()].slice(0, Math.max(0, this.#open.size - LIMITS.openSegmentsMax));
    for (const number of segment === undefined ? excess : [segment, ...excess]) {
      const open = this.#open.get(number);
      if (open === undefined) continue;
      this.#open.delete(number);
      open.retired = true;
      await closeIfUnused(open);
    }
  }

  /** Waits for reads that are under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#reading);
    for (const number of this.#open.keys()) await this.forget(number);
  }
}

/** The message, if it lies in the record as a whole. */
function messageIn({ type, payload }: RawRecord): Message | undefined {
  if (type === RECORD_TYPE.publish) return readMessage(payload);
  return type === RECORD_TYPE.copy ? readCopiedMessage(payload) : undefined;
}

function openSegment(file: Promise<File>): OpenSegment {
  const open: OpenSegment = { file, opened: undefined, users: 0, retired: false };
  file.then(
    (opened) => (open.opened = opened),
    () => {},
  );
  return open;
}

/** A file that could not be opened needs no closing: whoever wanted to read it has the error. */
async function closeIfUnused({ file, users }: OpenSegment): Promise<void> {
  if (users === 0)
    await file.then(
      (one) => one.close(),
      () => {},
    );
}

function covers(window: Window, position: Position): boolean {
  const at = offsetOf(position) - window.start;
  return segmentOf(position) === window.segment && at >= 0 && at < window.buffer.length;
}
