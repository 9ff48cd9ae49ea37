import type { Socket } from 'node:net';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import { writeProperties } from '../message/properties-codec.js';
import { ByteWriter } from '../message/table-codec.js';
import type { Delivery } from '../queue/delivery.js';
import { CLASS_ID, FRAME, type Method, METHODS, type MethodSpec } from './protocol.js';
import { FRAME_OVERHEAD_BYTES } from './frame-parser.js';

/** A body up to this is copied among the frames around it; a longer one is handed to the socket as it is. Bytes. */
const COPIED_BODY_BYTES_MAX = 4096;
/** So much is handed to the socket at once, without waiting for the end of the turn. Bytes. */
const FLUSH_BYTES = 64 * 1024;
const FIRST_BUFFER_BYTES = 256;
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
  #out = new ByteWriter(FIRST_BUFFER_BYTES);
  #isScheduled = false;
  #isEnded = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** What waits here and in the socket for the client to read. Bytes. */
  get unsentBytes(): number {
    return this.#chunkBytes + this.#out.end + this.#socket.writableLength;
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
  delivery(channel: number, start: Buffer, deliveryTag: number, { message, redelivered }: Delivery): void {
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
    if (this.#chunkBytes + this.#out.end >= FLUSH_BYTES) this.#send();
  }

  /** What is in `#out` is a chunk of its own. */
  #chunk(): void {
    const { buffer, end } = this.#out;
    if (end === 0) return;
    this.#chunks.push(buffer.subarray(0, end));
    this.#chunkBytes += end;
    // As large as the last one was: what comes next is mostly alike.
    this.#out = new ByteWriter(Math.max(FIRST_BUFFER_BYTES, Math.min(end, FLUSH_BYTES)));
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
    this.#chunks = [];
    this.#chunkBytes = 0;
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.cork();
    for (const chunk of chunks) this.#socket.write(chunk);
    this.#socket.uncork();
  }
}
