import { LIMITS } from '../limits.js';
import { ByteReader } from '../message/table-codec.js';
import { AmqpError, octetsOf } from './amqp-error.js';
import { FRAME } from './protocol.js';

/** Type, channel, size; and the end octet. Bytes. */
export const FRAME_HEADER_BYTES = 7;
export const FRAME_OVERHEAD_BYTES: number = FRAME_HEADER_BYTES + 1;

const EMPTY = Buffer.alloc(0);
/** A part of a buffer that is larger than so many times the part is copied, so that it does not keep it all in memory. */
const PINNED_MAX = 4;

/**
 * Takes a stream apart into frames (AMQP 0-9-1, section 4.2.3).
 *
 *     0      1         3      7                size+7   size+8
 *     +------+---------+------+------ … ------+------+
 *     | type | channel | size | payload       | 0xCE |
 *     +------+---------+------+------ … ------+------+
 *
 * A frame that lies in one chunk is not copied; one that comes in pieces is put together in memory of its size, which
 * is taken when the size is known to be agreed.
 */
export class FrameParser {
  /** The largest frame that was agreed on, all of it. Bytes. */
  frameBytesMax: number = LIMITS.handshakeFrameBytesMax;
  #chunk: Buffer = EMPTY;
  #at = 0;
  /** Of a frame in pieces: its header, then all of it. */
  #partial: Buffer | undefined;
  #filled = 0;

  // The frame that `next` found: its payload is `buffer` from `start` to `end`, and stays as it is.
  type = 0;
  channel = 0;
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;

  push(chunk: Buffer): void {
    const rest = this.#chunk.length - this.#at;
    this.#chunk = rest === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Finds the next frame, if it has come whole. Throws FRAME_ERROR for what is none. */
  next(): boolean {
    if (this.#partial !== undefined) return this.#nextInPieces(this.#partial);
    const available = this.#chunk.length - this.#at;
    if (available === 0) return false;
    if (available < FRAME_HEADER_BYTES) return this.#begin(FRAME_HEADER_BYTES);
    const total = this.#total(this.#chunk, this.#at);
    if (available < total) return this.#begin(total);
    this.#found(this.#chunk, this.#at, total);
    this.#at += total;
    return true;
  }

  #begin(bytes: number): boolean {
    this.#partial = Buffer.allocUnsafe(bytes);
    this.#filled = 0;
    return this.#nextInPieces(this.#partial);
  }

  #nextInPieces(partial: Buffer): boolean {
    if (!this.#fill(partial)) return false;
    const total = this.#total(partial, 0);
    if (total > partial.length) {
      const whole = Buffer.allocUnsafe(total);
      partial.copy(whole);
      this.#partial = whole;
      return this.#nextInPieces(whole);
    }
    this.#partial = undefined;
    this.#found(partial, 0, total);
    return true;
  }

  #fill(partial: Buffer): boolean {
    const copied = this.#chunk.copy(partial, this.#filled, this.#at);
    this.#filled += copied;
    this.#at += copied;
    return this.#filled === partial.length;
  }

  /** How long the frame at `at` is, which has a header at least. */
  #total(buffer: Buffer, at: number): number {
    const size = buffer.readUInt32BE(at + 3);
    // As RabbitMQ: eight bytes more than agreed are let pass.
    if (size > this.frameBytesMax) {
      const agreed = this.frameBytesMax - FRAME_OVERHEAD_BYTES;
      throw frameError(buffer[at] as number, EMPTY, `{frame_too_large,${size},${agreed}}`);
    }
    return size + FRAME_OVERHEAD_BYTES;
  }

  #found(buffer: Buffer, at: number, total: number): void {
    this.type = buffer[at] as number;
    this.channel = buffer.readUInt16BE(at + 1);
    this.buffer = buffer;
    this.start = at + FRAME_HEADER_BYTES;
    this.end = at + total - 1;
    const marker = buffer[this.end] as number;
    // As in RabbitMQ, a heartbeat that says something is none.
    const isKnown = isFrameType(this.type) && (this.type !== FRAME.HEARTBEAT || this.start === this.end);
    if (marker === FRAME.END && isKnown) return;
    const what = marker === FRAME.END ? 'unknown_frame' : `{invalid_frame_end_marker,${marker}}`;
    throw frameError(this.type, buffer.subarray(this.start, this.end), what);
  }

  /** Reads the payload. */
  reader(): ByteReader {
    return new ByteReader(this.buffer, this.start, this.end);
  }

  /** The payload, which is a copy where it is a small part of a large buffer. */
  payload(from: number = this.start): Buffer {
    const part = this.buffer.subarray(from, this.end);
    return part.length * PINNED_MAX >= this.buffer.length ? part : Buffer.from(part);
  }

  /** Whether the payload, from there on, is these bytes. */
  equals(bytes: Buffer, from: number = this.start): boolean {
    const { length } = bytes;
    if (this.end - from !== length) return false;
    const { buffer } = this;
    // From the end: names that differ do so there, and a loop costs less than the call would.
    for (let at = length - 1; at >= 0; at--) if (buffer[from + at] !== bytes[at]) return false;
    return true;
  }
}

function isFrameType(type: number): boolean {
  return (type >= FRAME.METHOD && type <= FRAME.BODY) || type === FRAME.HEARTBEAT;
}

function frameError(type: number, payload: Buffer, what: string): AmqpError {
  return new AmqpError('FRAME_ERROR', `${octetsOf(type, payload)}: ${what}`);
}
