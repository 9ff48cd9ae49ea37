/** A set of bytes: 1 where the byte is in it. */
export type ByteSet = Uint8Array;

const BYTES = 256;

export function setOf(contains: (byte: number) => boolean): ByteSet {
  return Uint8Array.from({ length: BYTES }, (_, byte) => (contains(byte) ? 1 : 0));
}

export function rangeSet(from: number, to: number): ByteSet {
  return setOf((byte) => byte >= from && byte <= to);
}

export function union(sets: readonly ByteSet[]): ByteSet {
  return setOf((byte) => sets.some((set) => set[byte] === 1));
}

export function complement(set: ByteSet): ByteSet {
  return setOf((byte) => set[byte] === 0);
}

/** With a letter, also its other case. */
export function withBothCases(set: ByteSet): ByteSet {
  return setOf((byte) => set[byte] === 1 || set[otherCase(byte)] === 1);
}

function otherCase(byte: number): number {
  const isLetter = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
  return isLetter ? byte ^ 0x20 : byte;
}

const DIGITS = rangeSet(0x30, 0x39);
export const WORD: ByteSet = union([
  DIGITS,
  rangeSet(0x41, 0x5a),
  rangeSet(0x61, 0x7a),
  rangeSet(0x5f, 0x5f),
]);
const SPACE = union([rangeSet(0x09, 0x0d), rangeSet(0x20, 0x20)]);
/** What a dot matches: everything but a line feed. */
export const DOT: ByteSet = complement(rangeSet(0x0a, 0x0a));

/** What `\d` and the like stand for. */
export const ESCAPED_SETS: Readonly<Record<string, ByteSet>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};

/** What `\n` and the like stand for. */
export const ESCAPED_BYTES: Readonly<Record<string, number>> = {
  a: 0x07,
  e: 0x1b,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
};
