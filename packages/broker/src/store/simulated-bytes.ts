/** Bytes that grow in place: what is in a file. What was never written reads as zeros. */
export class SimulatedBytes {
  #buffer: Buffer;
  #length: number;

  constructor(bytes: Uint8Array = Buffer.alloc(0)) {
    this.#buffer = Buffer.from(bytes);
    this.#length = bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  /** The bytes themselves, until the next change. */
  get view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.#buffer.length) this.#grow(end);
    // Beyond the end there may still be bytes from before a truncation.
    if (position > this.#length) this.#buffer.fill(0, this.#length, position);
    this.#buffer.set(bytes, position);
    this.#length = Math.max(this.#length, end);
  }

  truncate(size: number): void {
    if (size > this.#length) this.write(Buffer.alloc(size - this.#length), this.#length);
    this.#length = size;
  }

  #grow(length: number): void {
    const buffer = Buffer.alloc(Math.max(length, this.#buffer.length * 2));
    buffer.set(this.view);
    this.#buffer = buffer;
  }
}
