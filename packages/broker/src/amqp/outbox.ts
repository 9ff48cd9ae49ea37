import type { Socket } from 'node:net';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import { writeProperties } from '../message/properties-codec.js';
import { ByteWriter } from '../message/table-codec.js';
import { CLASS_ID, FRAME, type Method, METHODS, type MethodSpec } from './protocol.js';
import { FRAME_OVERHEAD_BYTES } from './frame-parser.js';

/** A body up to this is copied among the frames around it; a longer one is handed to the socket as it is. Bytes. */
const COPIED_BODY_BYTES_MAX = 4096;
/** So much is handed to the socket at once, without waiting for the end of the turn. Bytes. */
const FLUSH_BYTES = 64 * 1024;
const FIRST_BUFFER_BYTES = 256;
/** Of a connection that has much to send: so much, and the frames that lead to it. Bytes. */
const LARGE_BUFFER_BYTES = FLUSH_BYTES + 2 * COPIED_BODY_BYTES_MAX;
/** With less than this left, a buffer is done with. Bytes. */
const ROOM_BYTES_MIN = 128;
/** Where a frame has its size. */
const SIZE_AT = 3;

/** The frame of a `basic.deliver` up to its delivery tag: it is the same for all of a consumer. */
export function deliveryStart(channel: number, consumerTag: string): Buffer {
  const out = new ByteWriter();
  out.uint8(FRAME.METHOD);
  out.uint16(channel);
  out.uint32(0);
  out.uint16(METHODS['basic.deliver'].classId);
  out.uint16(METHODS['basic.deliver'].methodId);
  out.shortString(consumerTag);
  return out.buffer.subarray(0, out.end);
}

/** What a connection has to send: frames of one turn go to the socket together. */
export class Outbox {
  /** The largest frame that was agreed on. Bytes. */
  frameBytesMax: number = LIMITS.frameBytesMin;
  /** Who gathers answers, and adds them before frames go out. */
  readonly due: Set<{ flush(): void }> = new Set();
  readonly #socket: Socket;
  /** Whole, in order, before what is in `#out`. */
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  readonly #out = new ByteWriter(FIRST_BUFFER_BYTES);
  /** What is in `#out` before this is a chunk already. */
  #chunkedUpTo = 0;
  /** A large buffer whose bytes the socket has taken. */
  #spare: Buffer | undefined;
  #isScheduled = false;
  #isEnded = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** What waits here and in the socket for the client to read. Bytes. */
  get unsentBytes(): number {
    return this.#waitingBytes + this.#socket.writableLength;
  }

  get #waitingBytes(): number {
    return this.#chunkBytes + this.#out.end - this.#chunkedUpTo;
  }

  /** Bytes that are no frame. */
  raw(bytes: Buffer): void {
    this.#out.bytes(bytes);
    this.schedule();
  }

  heartbeat(): void {
    this.#end(this.#begin(FRAME.HEARTBEAT, 0));
  }

  method(channel: number, method: Method): void {
    if (this.#isEnded) return;
    const spec = METHODS[method.name] as unknown as MethodSpec<Method>;
    const at = this.#begin(FRAME.METHOD, channel);
    this.#out.uint16(spec.classId);
    this.#out.uint16(spec.methodId);
    spec.write(this.#out, method);
    this.#end(at);
  }

  /** A `basic.deliver`, and its content. `start` is the consumer's {@link deliveryStart}. */
  delivery(
    channel: number,
    start: Buffer,
    deliveryTag: number,
    message: Message,
    redelivered: boolean,
  ): void {
    if (this.#isEnded) return;
    const out = this.#out;
    const sizeAt = out.end + SIZE_AT;
    out.bytes(start);
    out.uint64(deliveryTag);
    out.uint8(redelivered ? 1 : 0);
    out.shortString(message.exchange);
    out.shortString(message.routingKey);
    this.#end(sizeAt);
    this.#content(channel, message);
  }

  /** A method that has content, and its content. */
  content(channel: number, method: Method, message: Message): void {
    if (this.#isEnded) return;
    this.method(channel, method);
    this.#content(channel, message);
  }

  #content(channel: number, message: Message): void {
    const at = this.#begin(FRAME.HEADER, channel);
    this.#out.uint16(CLASS_ID.basic);
    this.#out.uint16(0);
    this.#out.uint64(message.body.length);
    if (message.propertiesBytes === undefined) writeProperties(this.#out, message.properties);
    else this.#out.bytes(message.propertiesBytes);
    this.#end(at);
    this.#body(channel, message.body);
  }

  #body(channel: number, body: Buffer): void {
    const partBytesMax = this.frameBytesMax - FRAME_OVERHEAD_BYTES;
    for (let from = 0; from < body.length; from += partBytesMax) {
      const part = body.length <= partBytesMax ? body : body.subarray(from, from + partBytesMax);
      const at = this.#begin(FRAME.BODY, channel);
      if (part.length <= COPIED_BODY_BYTES_MAX) {
        this.#out.bytes(part);
        this.#end(at);
        continue;
      }
      this.#out.putUint32(part.length, at);
      this.#chunk();
      this.#chunks.push(part);
      this.#chunkBytes += part.length;
      this.#out.uint8(FRAME.END);
    }
    if (this.#waitingBytes >= FLUSH_BYTES) this.#send();
  }

  /** What is in `#out` is a chunk of its own; what comes next may go to the same buffer. */
  #chunk(): void {
    const { buffer, end } = this.#out;
    if (end === this.#chunkedUpTo) return;
    this.#chunks.push(buffer.subarray(this.#chunkedUpTo, end));
    this.#chunkBytes += end - this.#chunkedUpTo;
    this.#chunkedUpTo = end;
    if (buffer.length - end < ROOM_BYTES_MIN) this.#renew(Math.min(COPIED_BODY_BYTES_MAX, buffer.length * 2));
  }

  /** What is in `#out` belongs to its chunks from now on. */
  #renew(bytes: number): void {
    const isLarge = bytes > FLUSH_BYTES / 2;
    const spare = isLarge ? this.#spare : undefined;
    this.#spare = undefined;
    this.#out.buffer =
      spare ?? Buffer.allocUnsafe(isLarge ? LARGE_BUFFER_BYTES : Math.max(FIRST_BUFFER_BYTES, bytes));
    this.#out.end = 0;
    this.#chunkedUpTo = 0;
  }

  /** Writes a frame's header; returns where its size goes. */
  #begin(type: number, channel: number): number {
    this.#out.uint8(type);
    this.#out.uint16(channel);
    return this.#out.reserve(4);
  }

  #end(sizeAt: number): void {
    this.#out.putUint32(this.#out.end - sizeAt - 4, sizeAt);
    this.#out.uint8(FRAME.END);
    this.schedule();
  }

  /** Everything goes out after what is ready to run now has run. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** After this frame nothing is sent any more: a close is the last word. */
  last(method: Method): void {
    for (const one of this.due) one.flush();
    this.due.clear();
    this.method(0, method);
    this.#isEnded = true;
  }

  flush(): void {
    for (const one of this.due) one.flush();
    this.due.clear();
    this.#send();
  }

  #send(): void {
    this.#chunk();
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    const { buffer } = this.#out;
    // As large as the last one had to be: what comes next is mostly alike.
    this.#renew(this.#out.end);
    this.#chunks = [];
    this.#chunkBytes = 0;
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#write(chunks, buffer);
  }

  #write(chunks: readonly Buffer[], buffer: Buffer): void {
    const onTaken = (error?: Error | null): void => {
      const isBusy = this.#out.buffer.length === LARGE_BUFFER_BYTES;
      if (!error && isBusy && buffer.length === LARGE_BUFFER_BYTES) this.#spare = buffer;
    };
    this.#socket.cork();
    for (const [i, chunk] of chunks.entries())
      this.#socket.write(chunk, i === chunks.length - 1 ? onTaken : undefined);
    this.#socket.uncork();
  }
}
