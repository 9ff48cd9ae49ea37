import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { File, FileSystem } from './file-system.js';
import {
  offsetOf,
  type Position,
  type RawRecord,
  readMove,
  readPublish,
  readRecord,
  RECORD_TYPE,
  segmentOf,
} from './record.js';
import { segmentFileName } from './segment.js';

/** The first read of a record whose length is not known yet. Bytes. */
const GUESS_BYTES = 4096;

interface Window {
  readonly segment: number;
  readonly start: number;
  buffer: Buffer;
}

/** Reads messages back from segment files: neighbours in one read, each record's checksum checked (J4). */
export class SegmentReader {
  /** In order of use; the first is the least recently used. */
  readonly #files = new Map<number, Promise<File>>();

  constructor(
    private readonly fileSystem: FileSystem,
    private readonly directory: string,
  ) {}

  async read(positions: readonly Position[]): Promise<Message[]> {
    const messages: Message[] = [];
    let window: Window | undefined;
    for (let i = 0; i < positions.length; i++) {
      const position = positions[i] as Position;
      if (window === undefined || !covers(window, position)) window = await this.#open(positions, i);
      messages.push(await this.#message(await this.#record(window, position)));
    }
    return messages;
  }

  /** A window from the position at `from` over the positions that follow it closely. */
  async #open(positions: readonly Position[], from: number): Promise<Window> {
    const first = positions[from] as Position;
    let last = first;
    for (const next of positions.slice(from + 1)) {
      if (next < last || next - first > LIMITS.readAheadBytesMax) break;
      if (segmentOf(next) !== segmentOf(first)) break;
      last = next;
    }
    const window = { segment: segmentOf(first), start: offsetOf(first), buffer: Buffer.alloc(0) };
    await this.#fill(window, last - first + GUESS_BYTES);
    return window;
  }

  async #fill(window: Window, bytes: number): Promise<void> {
    const file = await this.#file(window.segment);
    const buffer = Buffer.allocUnsafe(bytes);
    const count = await file.read(buffer, window.start);
    window.buffer = buffer.subarray(0, count);
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
    throw new BrokerError(
      'JOURNAL_DAMAGED',
      `${this.directory}/${segmentFileName(window.segment)} can't be read at offset ${offsetOf(position)}: ${check.why}.`,
      { severity: 'broker', cure: 'Check the disk; restore the directory from a backup.' },
    );
  }

  async #message(record: RawRecord): Promise<Message> {
    if (record.type === RECORD_TYPE.publish) return readPublish(record.payload).message;
    const move = readMove(record.payload);
    const [original] = await this.read([move.bodyPosition]);
    return { ...move.message, body: (original as Message).body };
  }

  #file(segment: number): Promise<File> {
    let file = this.#files.get(segment);
    if (file === undefined) {
      file = this.fileSystem.open(`${this.directory}/${segmentFileName(segment)}`, 'read');
    }
    this.#files.delete(segment);
    this.#files.set(segment, file);
    file.catch(() => this.#files.delete(segment));
    return file;
  }

  /** Lets go of a segment that is to be removed, and of files that were not used for long. */
  async forget(segment?: number): Promise<void> {
    const excess = [...this.#files.keys()].slice(0, Math.max(0, this.#files.size - LIMITS.openSegmentsMax));
    for (const number of segment === undefined ? excess : [segment, ...excess]) {
      const file = this.#files.get(number);
      this.#files.delete(number);
      if (file !== undefined) await (await file).close();
    }
  }

  async close(): Promise<void> {
    for (const number of this.#files.keys()) await this.forget(number);
  }
}

function covers(window: Window, position: Position): boolean {
  const at = offsetOf(position) - window.start;
  return segmentOf(position) === window.segment && at >= 0 && at < window.buffer.length;
}
