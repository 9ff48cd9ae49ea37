import { isDeepStrictEqual } from 'node:util';
import type { Found, ModelEntry, Moment } from './journal-model.spec.support.js';
import type { Marks } from './message-store.js';
import { UNMARKED } from './random-mark.spec.support.js';

/** J2: a message that was being moved is where it was or where it went, never in both and never in neither. */
export function checkMove(
  entry: ModelEntry,
  found: ReadonlyMap<string, Found>,
  { durable: sure, begun }: Moment,
): void {
  if (entry.movedTo.length === 0) return;
  const isThere = (one: ModelEntry): boolean => found.has(nameOf(one));
  const arrived = entry.movedTo.filter(isThere);
  if (isThere(entry) && arrived.length > 0) fail(`${nameOf(entry)} is moved and still there`);
  if (entry.added > sure || isThere(entry)) return;
  for (const target of entry.movedTo) {
    const settled = target.removed !== undefined && target.removed <= begun;
    if (!settled && !isThere(target)) fail(`${nameOf(entry)} is lost on the way to ${nameOf(target)}`);
  }
}

/** J2: a transaction has happened as a whole or not at all. */
export function checkTransaction(
  { step, added, settled }: { step: number; added: readonly ModelEntry[]; settled: readonly ModelEntry[] },
  found: ReadonlyMap<string, Found>,
  { durable: sure, begun }: Moment,
): void {
  if (step > begun) return;
  // What says for sure whether it happened: what it added and nobody has removed, what it settled and was there for sure.
  const signs = [
    ...added.filter(({ removed }) => removed === undefined).map((entry) => found.has(nameOf(entry))),
    ...settled.filter((entry) => entry.added <= sure).map((entry) => !found.has(nameOf(entry))),
  ];
  if (new Set(signs).size > 1) {
    fail(
      `the transaction of step ${step} has happened in part: ${[...added, ...settled].map(nameOf).join(', ')}`,
    );
  }
}

export function nameOf({ queueId, sequence }: { queueId: number; sequence: number }): string {
  return `message ${sequence} of queue ${queueId}`;
}

export function fail(what: string): never {
  throw new Error(what);
}

/** A delivery count comes with a time, so the count that was found tells which time must have been. */
export function checkMark({ counts, mark, ...entry }: ModelEntry, found: Found): void {
  const said = counts.findLast(({ count }) => count === found.deliveryCount);
  const expected = { ...UNMARKED, ...mark, ...(said && { readyAt: said.readyAt }) };
  if (!isDeepStrictEqual(found.mark, expected))
    fail(`${nameOf(entry)} has the mark ${JSON.stringify(found.mark)}, not ${JSON.stringify(expected)}`);
}

export function inWords(marks: Marks | undefined): string {
  return marks === undefined ? '' : `, marked ${JSON.stringify(marks)}`;
}
