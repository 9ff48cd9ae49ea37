/** Numbers in one typed array that grows by doubling: 8 bytes each, whole numbers up to 2^53 exactly. */
export class NumberColumn {
  array: Float64Array;
  length = 0;

  constructor(capacity = 16) {
    this.array = new Float64Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.array.length) this.#grow(this.length + 1);
    this.array[this.length++] = value;
  }

  #grow(needed: number): void {
    const grown = new Float64Array(Math.max(needed, this.array.length * 2));
    grown.set(this.array.subarray(0, this.length));
    this.array = grown;
  }

  /** What is in it, without a copy: good until the next push. */
  values(): Float64Array {
    return this.array.subarray(0, this.length);
  }
}

/** The same for u32: 4 bytes each. */
export class Uint32Column {
  array: Uint32Array;
  length = 0;

  constructor(capacity = 16) {
    this.array = new Uint32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.array.length) {
      const grown = new Uint32Array(this.length * 2);
      grown.set(this.array);
      this.array = grown;
    }
    this.array[this.length++] = value;
  }

  values(): Uint32Array {
    return this.array.subarray(0, this.length);
  }
}

/** Where the first value of at least `sought` is between `from` and `to`, which are in ascending order; else `to`. */
export function lowerBound(
  values: Float64Array | Uint32Array | readonly number[],
  sought: number,
  from: number = 0,
  to: number = values.length,
): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < sought) low = middle + 1;
    else high = middle;
  }
  return low;
}
