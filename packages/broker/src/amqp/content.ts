import { checkProperties, type PropertyPlaces } from '../message/encoded-properties.js';
import { LIMITS } from '../limits.js';
import { AmqpError, octetsOf } from './amqp-error.js';
import type { FrameParser } from './frame-parser.js';
import { readMethod } from './method-codec.js';
import { type BasicPublish, CLASS_ID } from './protocol.js';

/** What a client published: the method, and the content that followed. */
export interface Content {
  readonly method: BasicPublish;
  readonly propertiesBytes: Buffer;
  readonly places: PropertyPlaces;
  readonly body: Buffer;
}

/** Bytes of the contents that are under way on a connection: bodies and, before them, properties. */
export interface Unfinished {
  bytes: number;
}

/** Class, weight, body size; then the properties. Bytes. */
const HEADER_BYTES = 12;
const EMPTY = Buffer.alloc(0);
/** Longer properties are not kept to be compared with the next: each channel would. Bytes. */
const KEPT_PROPERTIES_BYTES_MAX = 4096;
/** The memory for a body grows as the body comes: what is announced is not yet there. Bytes. */
const FIRST_PART_BYTES = 64 * 1024;

/**
 * Puts one channel's content together from its frames: a method, a header, then bodies until the announced size is
 * there. What is announced takes no memory before it comes, and no byte is copied more than twice.
 */
export class ContentAssembler {
  readonly #unfinished: Unfinished;
  #method: BasicPublish | undefined;
  #propertiesBytes: Buffer | undefined;
  #places: PropertyPlaces | undefined;
  // Most messages are published as the one before: the method and the properties of the last are not decoded again.
  #lastMethod: BasicPublish | undefined;
  #lastMethodBytes: Buffer = EMPTY;
  #lastPropertiesBytes: Buffer = EMPTY;
  #lastPlaces: PropertyPlaces | undefined;
  #bodyBytes = 0;
  #body: Buffer = EMPTY;
  #filled = 0;
  /** What of it is counted as under way. */
  #counted = 0;

  constructor(unfinished: Unfinished) {
    this.#unfinished = unfinished;
  }

  /** While there is one, another method on this channel would be out of order. */
  get underWay(): BasicPublish | undefined {
    return this.#method;
  }

  /** What is wrong with a frame that comes now and is not what it should be. */
  outOfOrder(): AmqpError {
    if (this.#method === undefined) return unexpected('method frame, got non method frame instead');
    const expected = this.#propertiesBytes === undefined ? 'content header for class 60' : 'content body';
    const got = this.#propertiesBytes === undefined ? 'non content header' : 'non content body';
    return unexpected(`${expected}, got ${got} frame instead`);
  }

  /** A `basic.publish`. Throws as {@link readMethod}. */
  begin(parser: FrameParser): void {
    if (this.#lastMethod === undefined || !parser.equals(this.#lastMethodBytes)) {
      const { buffer, start, end } = parser;
      this.#lastMethod = readMethod(parser.reader()) as BasicPublish;
      this.#lastMethodBytes = Buffer.from(buffer.subarray(start, end));
    }
    this.#method = this.#lastMethod;
  }

  /** Throws UNEXPECTED_FRAME, FRAME_ERROR or PRECONDITION_FAILED, RangeError for properties that can't be decoded; returns the content when there is no body. */
  header(parser: FrameParser): Content | undefined {
    if (this.#method === undefined || this.#propertiesBytes !== undefined) throw this.outOfOrder();
    const { buffer, start, end } = parser;
    if (end - start < HEADER_BYTES + 2) {
      const octets = octetsOf(parser.type, buffer.subarray(start, end));
      throw new AmqpError('FRAME_ERROR', `${octets}: unknown_frame`);
    }
    // A header with a weight is none, as in RabbitMQ.
    if (buffer.readUInt16BE(start + 2) !== 0) throw this.outOfOrder();
    const classId = buffer.readUInt16BE(start);
    if (classId !== CLASS_ID.basic) {
      throw unexpected(`content header for class ${CLASS_ID.basic}, got one for class ${classId} instead`);
    }
    this.#properties(parser, start + HEADER_BYTES);
    this.#bodyBytes = bodySize(buffer, start + 4);
    if (this.#bodyBytes === 0) return this.#take(EMPTY);
    this.#count(end - start - HEADER_BYTES);
    return undefined;
  }

  /** So many bytes more are under way. Throws RESOURCE_ERROR. */
  #count(bytes: number): void {
    this.#counted += bytes;
    this.#unfinished.bytes += bytes;
    if (this.#unfinished.bytes <= LIMITS.unfinishedBytesMax) return;
    throw new AmqpError(
      'RESOURCE_ERROR',
      `contents under way on all channels have more than ${LIMITS.unfinishedBytesMax} bytes`,
    );
  }

  #properties(parser: FrameParser, start: number): void {
    if (this.#lastPlaces === undefined || !parser.equals(this.#lastPropertiesBytes, start)) {
      const bytes = parser.payload(start);
      // Also when the check fails: then a header has come.
      this.#propertiesBytes = bytes;
      this.#places = checkProperties(bytes);
      if (bytes.length > KEPT_PROPERTIES_BYTES_MAX) return;
      this.#lastPlaces = this.#places;
      this.#lastPropertiesBytes = bytes;
    }
    this.#propertiesBytes = this.#lastPropertiesBytes;
    this.#places = this.#lastPlaces;
  }

  /** Throws as {@link header}; returns the content when its body is whole. */
  body(parser: FrameParser): Content | undefined {
    const length = parser.end - parser.start;
    if (this.#propertiesBytes === undefined || this.#filled + length > this.#bodyBytes)
      throw this.outOfOrder();
    if (length === this.#bodyBytes) return this.#take(parser.payload());
    this.#append(parser, length);
    return this.#filled === this.#bodyBytes ? this.#take(this.#body) : undefined;
  }

  #append({ buffer, start, end }: FrameParser, length: number): void {
    this.#count(length);
    const needed = this.#filled + length;
    if (needed > this.#body.length) {
      const room = Math.max(needed, this.#body.length * 2, FIRST_PART_BYTES);
      const grown = Buffer.allocUnsafe(Math.min(this.#bodyBytes, room));
      this.#body.copy(grown, 0, 0, this.#filled);
      this.#body = grown;
    }
    buffer.copy(this.#body, this.#filled, start, end);
    this.#filled = needed;
  }

  #take(body: Buffer): Content {
    const content = {
      method: this.#method as BasicPublish,
      propertiesBytes: this.#propertiesBytes as Buffer,
      places: this.#places as PropertyPlaces,
      body,
    };
    this.abandon();
    return content;
  }

  /** Forgets what is under way. */
  abandon(): void {
    this.#unfinished.bytes -= this.#counted;
    this.#counted = 0;
    this.#method = undefined;
    this.#propertiesBytes = undefined;
    this.#body = EMPTY;
    this.#filled = 0;
  }
}

function bodySize(buffer: Buffer, at: number): number {
  const size = buffer.readBigUInt64BE(at);
  if (size > LIMITS.bodyBytesMax) {
    throw new AmqpError(
      'PRECONDITION_FAILED',
      `message size ${size} is larger than configured max size ${LIMITS.bodyBytesMax}`,
    );
  }
  return Number(size);
}

function unexpected(expected: string): AmqpError {
  return new AmqpError('UNEXPECTED_FRAME', `expected ${expected}`);
}
