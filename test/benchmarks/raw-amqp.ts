import { connect, type Socket } from 'node:net';
import {
  BODY,
  closeIn,
  frame,
  GREETING,
  header,
  long,
  longString,
  method,
  METHOD,
  publish,
  short,
  shortString,
  startOk,
  tuneOk,
} from '../amqp/server.js';

const CHANNEL = 1;
/** `basic.ack`, `basic.deliver`, as class and method in one number. */
const ACK = 60 * 0x1_0000 + 80;
const DELIVER = 60 * 0x1_0000 + 60;
const FRAME_HEADER_BYTES = 7;
const ACK_FRAME_BYTES = 21;
/** So much of equal messages is prepared, and handed to the socket at once. */
const BATCH_BYTES = 64 * 1024;
const DELIVERY_MODE_PERSISTENT = Buffer.from([0x10, 0, 2]);
const NO_BITS = Buffer.from([0]);
const EMPTY = Buffer.alloc(0);

/** A message with a persistent body of so many bytes, as frames. */
function publishFrames(queue: string, bodyBytes: number): Buffer {
  const body = frame(BODY, CHANNEL, Buffer.alloc(bodyBytes, 'x'));
  return Buffer.concat([publish(CHANNEL, queue), header(CHANNEL, bodyBytes, DELIVERY_MODE_PERSISTENT), body]);
}

/**
 * A client that sends prepared frames and looks at no more of what comes than it has to: the lengths of frames, confirms,
 * and that there are deliveries. It makes no object a message, so that what is measured with it is the server.
 */
export class RawConnection {
  readonly #socket: Socket;
  /** The start of a frame whose rest has yet to come. */
  #partial: Buffer = EMPTY;
  /** Bytes to come of a frame that nobody looks at. */
  #skipped = 0;
  #onReply: () => void = () => {};
  #onConfirms: () => void = () => {};
  #onDeliveries: (count: number) => void = () => {};
  #fail: (error: Error) => void = () => {};
  #failure: Error | undefined;
  #published = 0;
  #confirmed = 0;
  /** Up to this tag all are confirmed; beyond it, those in the set. */
  #confirmedUpTo = 0;
  readonly #confirmedBeyond = new Set<number>();
  #delivered = 0;
  #acked = 0;
  #isClosing = false;

  private constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay();
    this.#socket.on('data', (chunk) => this.#onData(chunk));
    this.#socket.on('error', (error) => this.#failWith(error));
    this.#socket.on('close', () => this.#failWith(new Error('the server closed the connection')));
  }

  /** Channel 1 is open, and confirms what is published. */
  static async open(port: number): Promise<RawConnection> {
    const connection = await RawConnection.handshake(port);
    await connection.call(method(CHANNEL, 20, 10, shortString('')));
    await connection.call(method(CHANNEL, 85, 10, NO_BITS));
    return connection;
  }

  /** No channel is open. Heartbeats are agreed on, and not sent: it must not be held for more than two of them. */
  static async handshake(port: number, heartbeatSeconds = 0): Promise<RawConnection> {
    const connection = new RawConnection(port);
    await connection.call(GREETING);
    await connection.call(startOk('PLAIN', Buffer.from('\0guest\0guest')));
    await connection.call(
      tuneOk(2047, 131_072, heartbeatSeconds),
      method(0, 10, 40, shortString('/'), shortString(''), NO_BITS),
    );
    return connection;
  }

  /** Resolves with the next method that comes and is neither a confirm nor a delivery. */
  call(...frames: Buffer[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onReply = resolve;
      this.#awaitFailure(reject);
      this.#socket.write(Buffer.concat(frames));
    });
  }

  openChannel(channel: number): Promise<void> {
    return this.call(method(channel, 20, 10, shortString('')));
  }

  /** Durable. */
  declare(queue: string, type?: string): Promise<void> {
    const value = Buffer.concat([Buffer.from('S'), longString(Buffer.from(type ?? ''))]);
    const args = type === undefined ? EMPTY : Buffer.concat([shortString('x-queue-type'), value]);
    return this.call(
      method(CHANNEL, 50, 10, short(0), shortString(queue), Buffer.from([2]), longString(args)),
    );
  }

  delete(queue: string): Promise<void> {
    return this.call(method(CHANNEL, 50, 40, short(0), shortString(queue), NO_BITS));
  }

  /** Resolves when so many are published and confirmed, with so many of them unconfirmed at once. */
  publish(queue: string, bodyBytes: number, count: number, inFlight: number): Promise<void> {
    const one = publishFrames(queue, bodyBytes);
    const perBatch = Math.max(1, Math.floor(BATCH_BYTES / one.length));
    const batch = Buffer.concat(Array.from({ length: perBatch }, () => one));
    const goal = this.#published + count;
    return new Promise((resolve, reject) => {
      this.#awaitFailure(reject);
      this.#onConfirms = () => {
        if (this.#confirmed === goal) return resolve();
        for (;;) {
          const room = Math.min(goal - this.#published, inFlight - (this.#published - this.#confirmed));
          if (room <= 0) return undefined;
          const sent = Math.min(room, perBatch);
          this.#published += sent;
          this.#socket.write(batch.subarray(0, sent * one.length));
        }
      };
      this.#onConfirms();
    });
  }

  /** Acks each delivery by a frame of its own, and says how many there were of late. */
  async consume(queue: string, prefetch: number, onDeliveries: (count: number) => void): Promise<void> {
    this.#onDeliveries = onDeliveries;
    await this.call(method(CHANNEL, 60, 10, long(0), short(prefetch), NO_BITS));
    await this.subscribe(queue, 'c');
  }

  subscribe(queue: string, tag: string): Promise<void> {
    const names = [shortString(queue), shortString(tag)];
    return this.call(method(CHANNEL, 60, 20, short(0), ...names, NO_BITS, long(0)));
  }

  /** Resolves when the server has handled all that it was sent. */
  settled(): Promise<void> {
    return this.call(method(CHANNEL, 60, 10, long(0), short(0), NO_BITS));
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.call(method(0, 10, 50, short(200), shortString(''), Buffer.alloc(4)));
    this.#socket.destroy();
  }

  /** Without a word. */
  destroy(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }

  #awaitFailure(reject: (error: Error) => void): void {
    if (this.#failure !== undefined) reject(this.#failure);
    this.#fail = reject;
  }

  #failWith(error: Error): void {
    if (this.#isClosing) return;
    this.#failure = error;
    this.#fail(error);
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    const { length } = bytes;
    const before = this.#confirmed;
    let at = this.#skipped;
    while (at + FRAME_HEADER_BYTES <= length) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 3) + 1;
      if (bytes[at] === METHOD) {
        if (end > length) break;
        this.#onMethod(bytes, at + FRAME_HEADER_BYTES, end - 1);
      }
      at = end;
    }
    this.#skipped = Math.max(0, at - length);
    this.#partial = at < length ? bytes.subarray(at) : EMPTY;
    if (this.#confirmed !== before) this.#onConfirms();
    if (this.#delivered !== this.#acked) this.#ack();
  }

  #onMethod(bytes: Buffer, at: number, end: number): void {
    const id = bytes.readUInt32BE(at);
    if (id === DELIVER) this.#delivered++;
    else if (id === ACK) this.#onConfirm(bytes.readUInt32BE(at + 8), bytes[at + 12] === 1);
    else {
      const payload = bytes.subarray(at, end);
      const close = closeIn({ type: METHOD, channel: 0, payload });
      if (close !== undefined) this.#failWith(new Error(close));
      else this.#onReply();
    }
  }

  #onConfirm(tag: number, multiple: boolean): void {
    const beyond = this.#confirmedBeyond;
    if (!multiple && tag !== this.#confirmedUpTo + 1) {
      beyond.add(tag);
      this.#confirmed++;
      return;
    }
    while (this.#confirmedUpTo < tag) if (!beyond.delete(++this.#confirmedUpTo)) this.#confirmed++;
    while (beyond.size > 0 && beyond.delete(this.#confirmedUpTo + 1)) this.#confirmedUpTo++;
  }

  #ack(): void {
    const count = this.#delivered - this.#acked;
    const frames = Buffer.allocUnsafe(count * ACK_FRAME_BYTES);
    for (let at = 0; at < frames.length; at += ACK_FRAME_BYTES) {
      ACK_TEMPLATE.copy(frames, at);
      frames.writeUInt32BE(++this.#acked, at + FRAME_HEADER_BYTES + 8);
    }
    this.#socket.write(frames);
    this.#onDeliveries(count);
  }
}

const ACK_TEMPLATE: Buffer = method(CHANNEL, 60, 80, Buffer.alloc(8), NO_BITS);
