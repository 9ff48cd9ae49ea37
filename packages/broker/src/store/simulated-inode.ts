import { SimulatedBytes } from './simulated-bytes.js';

/** What a change is: bytes put somewhere, or another size. */
type Change =
  | { readonly position: number; readonly bytes: Buffer; state: ChangeState }
  | { readonly size: number; state: ChangeState };

/**
 * `dirty`: in the page cache, and the next sync makes it durable. `alone`: likewise, but only the durable write that it
 * is part of is known to. `dropped`: a sync of it has failed, so the cache takes it for clean, and no later sync
 * will bring it to the disk. `durable`: it is there.
 */
type ChangeState = 'dirty' | 'alone' | 'dropped' | 'durable';

/** A write that was begun and has not reached the page cache. */
export interface WriteUnderWay {
  readonly position: number;
  readonly bytes: Buffer;
}

const SECTOR_BYTES = 512;

/**
 * One file as the system has it: what a reader sees, what a power cut certainly leaves, and the changes between the
 * two, in order, each of which may survive a power cut whole, in part, or not at all.
 */
export class SimulatedInode {
  #now = new SimulatedBytes();
  #durable = new SimulatedBytes();
  #changes: Change[] = [];
  readonly underWay: Set<WriteUnderWay> = new Set();

  constructor(public path: string) {}

  static of(path: string, durable: Uint8Array): SimulatedInode {
    const inode = new SimulatedInode(path);
    inode.replace(durable);
    return inode;
  }

  /** What a reader sees now, until the next change. */
  get bytes(): Buffer {
    return this.#now.view;
  }

  get size(): number {
    return this.#now.length;
  }

  get hasDropped(): boolean {
    return this.#changes.some(({ state }) => state === 'dropped');
  }

  /** As a bad disk or a stranger would. */
  replace(bytes: Uint8Array): void {
    this.#now = new SimulatedBytes(bytes);
    this.#durable = new SimulatedBytes(bytes);
    this.#changes = [];
  }

  write(bytes: Buffer, position: number): void {
    this.#now.write(bytes, position);
    this.#changes.push({ position, bytes, state: 'dirty' });
  }

  truncate(size: number): void {
    this.#now.truncate(size);
    this.#changes.push({ size, state: 'dirty' });
  }

  /** What was changed up to now; `ended` says whether its sync was a success. */
  beginSync(): (ended: 'durable' | 'dropped') => void {
    const covered = this.#changes.filter(({ state }) => state === 'dirty');
    return (ended) => {
      // Of two syncs at once, the one that failed has taken what the other one would have written.
      for (const change of covered) if (change.state === 'dirty') change.state = ended;
      this.#fold();
    };
  }

  /** A write of which only its own bytes, and the file's size if it grew, are promised at the end. */
  beginDurableWrite(bytes: Buffer, position: number): (ended: 'durable' | 'dropped') => void {
    const grows = position + bytes.length > this.#now.length;
    this.#now.write(bytes, position);
    const change: Change = { position, bytes, state: 'alone' };
    this.#changes.push(change);
    return (ended) => {
      change.state = ended;
      if (ended === 'durable' && grows) this.#settleSize(change);
      this.#fold();
    };
  }

  /** The size that a durable write gave is made of the sizes before. */
  #settleSize(upTo: Change): void {
    for (const change of this.#changes) {
      if (change === upTo) return;
      if ('size' in change) change.state = 'durable';
    }
  }

  #fold(): void {
    const open = this.#changes.findIndex(({ state }) => state !== 'durable');
    const folded = this.#changes.splice(0, open < 0 ? this.#changes.length : open);
    for (const change of folded) apply(this.#durable, change);
  }

  /** What a killed process leaves to the next one: of a write under way, as much as `random` says. */
  afterKill(random: () => number): SimulatedInode {
    const copy = new SimulatedInode(this.path);
    copy.#now = new SimulatedBytes(this.#now.view);
    copy.#durable = new SimulatedBytes(this.#durable.view);
    copy.#changes = this.#changes.map((change) => ({
      ...change,
      state: change.state === 'alone' ? 'dirty' : change.state,
    }));
    for (const { bytes, position } of this.underWay) {
      const part = prefixOf(bytes, random);
      if (part.length > 0) copy.write(part, position);
    }
    return copy;
  }

  /** What a power cut may leave, which is durable then. */
  afterPowerCut(random: () => number): SimulatedInode {
    const left = new SimulatedBytes(this.#durable.view);
    for (const change of this.#changes) {
      if (change.state === 'durable') apply(left, change);
      else if ('bytes' in change) tear(left, change, random);
      else if (random() < 0.5) left.truncate(change.size);
    }
    for (const write of this.underWay) tear(left, write, random);
    return SimulatedInode.of(this.path, left.view);
  }
}

/** Nothing, everything, or a part. */
export function prefixOf(bytes: Buffer, random: () => number): Buffer {
  const share = random() * 2 - 0.5;
  return bytes.subarray(0, Math.floor(Math.min(1, Math.max(0, share)) * bytes.length));
}

function apply(bytes: SimulatedBytes, change: Change): void {
  if ('bytes' in change) bytes.write(change.bytes, change.position);
  else bytes.truncate(change.size);
}

/** A write is kept, lost, cut at any byte, or any of its sectors are there. */
function tear(left: SimulatedBytes, { position, bytes }: WriteUnderWay, random: () => number): void {
  const fate = random();
  if (fate < 0.25) return;
  if (fate < 0.5) left.write(bytes, position);
  else if (fate < 0.75) left.write(bytes.subarray(0, Math.floor(random() * bytes.length)), position);
  else tearSectors(left, { position, bytes }, random);
}

function tearSectors(left: SimulatedBytes, { position, bytes }: WriteUnderWay, random: () => number): void {
  for (let at = 0; at < bytes.length;) {
    const part = bytes.subarray(at, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
    if (random() < 0.5) left.write(part, position + at);
    at += part.length;
  }
}
