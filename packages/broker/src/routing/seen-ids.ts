import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';

/** How many ids, and for how long. */
export interface RememberedIds {
  /** Of more, the oldest is forgotten. */
  readonly idsMax: number;
  /** Undefined is without end. Milliseconds. */
  readonly ttlMs: number | undefined;
}

/** An id that was not seen before was let through. */
export interface Admission {
  /** Its message was not stored after all: sent again it is no duplicate. Idempotent. */
  forget(): void;
}

/** A longer id is remembered by its digest: each takes bounded memory, whatever a stranger sends. Bytes. */
const PLAIN_ID_BYTES_MAX = 64;

interface Seen {
  /** By the clock. Milliseconds; infinite is never. */
  readonly forgottenAt: number;
}

/** Ids that were seen lately, in the order in which they came. */
export class SeenIds {
  readonly #remembered: RememberedIds;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();

  constructor(remembered: RememberedIds, clock: Clock) {
    this.#remembered = remembered;
    this.#clock = clock;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Undefined: it was seen before. `ttlMs` goes before what is agreed for all. */
  add(id: Buffer, ttlMs: number | undefined): Admission | undefined {
    const name = nameOf(id);
    const now = this.#clock.now();
    const known = this.#seen.get(name);
    if (known !== undefined && known.forgottenAt > now) return undefined;
    // It is the latest now, and the last to make room.
    this.#seen.delete(name);
    const seen = { forgottenAt: now + (ttlMs ?? this.#remembered.ttlMs ?? Infinity) };
    this.#makeRoom(now);
    this.#seen.set(name, seen);
    return { forget: () => this.#forget(name, seen) };
  }

  /** Of what is old first: the oldest, and what is behind it and past its time. */
  #makeRoom(now: number): void {
    for (const [name, { forgottenAt }] of this.#seen) {
      if (forgottenAt > now && this.#seen.size < this.#remembered.idsMax) return;
      this.#seen.delete(name);
    }
  }

  #forget(name: string, seen: Seen): void {
    if (this.#seen.get(name) === seen) this.#seen.delete(name);
  }
}

function nameOf(id: Buffer): string {
  if (id.length <= PLAIN_ID_BYTES_MAX) return id.toString('latin1');
  return createHash('sha256').update(id).digest('base64');
}
