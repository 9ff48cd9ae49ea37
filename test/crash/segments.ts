import { readdirSync, statSync } from 'node:fs';

export interface Segments {
  /** The lowest number, and the highest; 0 when there is none. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

const NAME = /^(\d{10})\.segment$/;

/** What the names of a broker's segments tell (docs/journal-format.md). */
export function segmentsOf(directory: string): Segments {
  const numbers = namesOf(directory).map((name) => Number(NAME.exec(name)?.[1]));
  return {
    first: numbers.length > 0 ? Math.min(...numbers) : 0,
    last: Math.max(0, ...numbers),
    count: numbers.length,
  };
}

/** Bytes of all segments; one that goes meanwhile counts as nothing. */
export function segmentBytesOf(directory: string): number {
  return namesOf(directory).reduce((sum, name) => sum + bytesOf(`${directory}/journal/${name}`), 0);
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function namesOf(directory: string): string[] {
  return readdirSync(`${directory}/journal`).filter((name) => NAME.test(name));
}
