import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { MessageStore, Residence, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import type { EntryMark } from './entry-mark.js';
import { type ReadyEntry, ReadyIndex } from './ready-index.js';

/** A ready message that is in memory. */
export interface Loaded {
  readonly entry: ReadyEntry;
  readonly message: Message;
  /** Comes after it. */
  next: Loaded | undefined;
}

/** A message that was taken out, and is in memory or not. */
export interface Dropped {
  readonly entry: ReadyEntry;
  readonly message: Message | undefined;
}

/** Whose messages they are. */
export interface ReadyMessagesOwner {
  readonly store: MessageStore;
  /** A message came from the disk: {@link ReadyMessages.take} may have one now. */
  onLoaded(): void;
  /** A message can't be read from the disk: all stands still. Called once, until a read succeeds. */
  onReadFailure(error: unknown): void;
  /** Runs `retry` after a while, or never if the process ends before. */
  later(retry: () => void): void;
}

/** One for all: most queues have nothing on its way from the disk at any time. */
const NONE: readonly never[] = [];

/** So many are read together, whatever lies between them. */
const FEW_MESSAGES = 64;

/**
 * What is ready in a queue, in order: the next of it in memory, the rest in an index (J8). What is not in memory when
 * it is its turn is read from the store, many at once, and the next are read while those are handed over.
 */
export class ReadyMessages {
  /** Read ahead, or just published: before everything in the index but what was put back. In order. */
  #first: Loaded | undefined;
  #last: Loaded | undefined;
  #loadedCount = 0;
  /** Made when it is needed: a queue whose consumers keep up has none. */
  #index: ReadyIndex | undefined;
  /** On their way from the disk; nothing that comes after them is given before, so that the order holds. */
  #loading: readonly ReadyEntry[] = NONE;
  /** So many messages are read at once: more when they are wanted before they come. */
  #readMax = LIMITS.readAheadMessagesMin;
  #readFailure: { readonly error: unknown } | undefined;

  constructor(
    private readonly owner: ReadyMessagesOwner,
    private readonly priority: number = 0,
  ) {}

  get length(): number {
    return this.#loadedCount + (this.#index?.length ?? 0) + this.#loading.length;
  }

  /** Why no message comes, if so: the next can't be read. It is tried again now and then. */
  get readFailure(): { readonly error: unknown } | undefined {
    return this.#readFailure;
  }

  /** The next message is on its way from the disk. */
  get isLoading(): boolean {
    return this.#loading.length > 0;
  }

  /** All that is ready is in memory, and not much: what comes now need not go through the index. */
  get isShort(): boolean {
    return (
      (this.#index === undefined || this.#index.length === 0) &&
      this.#loading.length === 0 &&
      this.#loadedCount < LIMITS.readAheadMessagesMin
    );
  }

  #theIndex(): ReadyIndex {
    return (this.#index ??= new ReadyIndex(this.priority));
  }

  /** Adds at the end. Sequences must grow. */
  push(sequence: number, position: Position, mark?: EntryMark): void {
    this.#theIndex().push(sequence, position, 0, false, mark);
  }

  /** Adds at the end, while {@link isShort}: the message is at hand, and is about to be taken. */
  pushLoaded(sequence: number, position: Position, message: Message, mark?: EntryMark): void {
    this.#append({
      entry: { sequence, position, deliveryCount: 0, redelivered: false, mark },
      message,
      next: undefined,
    });
  }

  #append(loaded: Loaded): void {
    if (this.#last === undefined) this.#first = loaded;
    else this.#last.next = loaded;
    this.#last = loaded;
    this.#loadedCount++;
  }

  /** Adds what was found at opening, before anything else. */
  restore(entries: StoredEntries): void {
    this.#theIndex().restore(entries);
  }

  /** The same for one message of it, at the end. */
  restoreOne({ sequence, position, deliveryCount, mark }: ReadyEntry): void {
    this.#theIndex().push(sequence, position, deliveryCount, true, mark);
  }

  /** Puts a message back at its original place. */
  putBack(entry: ReadyEntry): void {
    this.#theIndex().putBack(entry);
  }

  /** The next message, or undefined when there is none or it has yet to come from the disk. */
  take(): Loaded | undefined {
    const index = this.#index;
    if (index === undefined || (index.length === 0 && this.#loading.length === 0)) return this.#takeLoaded();
    const coming = this.#loading[0]?.sequence ?? Infinity;
    const next = index.nextSequence();
    if (this.#first !== undefined && this.#first.entry.sequence < Math.min(next, coming)) {
      const loaded = this.#takeLoaded();
      this.#readAhead(index);
      return loaded;
    }
    if (next >= coming) return this.#awaited();
    const entry = index.shift();
    if (entry === undefined) return undefined;
    const message = this.owner.store.peek(entry.position);
    if (message !== undefined) return { entry, message, next: undefined };
    // One read at a time: what came back and is not in memory waits for the one that is under way.
    if (this.#loading.length > 0) index.putBack(entry);
    else this.#load(index, [entry], this.#first === undefined ? this.#readMax : 1);
    return undefined;
  }

  /** When the next message expires; 0 is never, or it is on its way from the disk. Milliseconds since 1970. */
  get nextExpiresAt(): number {
    const next = this.#index?.nextSequence() ?? Infinity;
    const coming = this.#loading[0]?.sequence ?? Infinity;
    const first = this.#first?.entry;
    if (first !== undefined && first.sequence < Math.min(next, coming)) return first.mark?.expiresAt ?? 0;
    return next < coming ? (this.#index?.nextExpiresAt() ?? 0) : 0;
  }

  /** Takes the next message as it is, in memory or not; undefined: there is none, or it is on its way from the disk. */
  drop(): Dropped | undefined {
    const next = this.#index?.nextSequence() ?? Infinity;
    const coming = this.#loading[0]?.sequence ?? Infinity;
    if (this.#first !== undefined && this.#first.entry.sequence < Math.min(next, coming))
      return this.#takeLoaded();
    const entry = next < coming ? this.#index?.shift() : undefined;
    return entry && { entry, message: undefined };
  }

  /** Sets the size of a message that has none yet; false: it has, or is in memory, or is not here. */
  measure(sequence: number, bodyBytes: number): boolean {
    return this.#index?.measure(sequence, bodyBytes) ?? false;
  }

  /** The next of those after this sequence whose size is not known; at most so many. */
  unmeasured(after: number, countMax: number): { readonly sequence: number; readonly position: Position }[] {
    return this.#index?.unmeasured(after, countMax) ?? [];
  }

  /** Consumers wait for the disk: what they take in the time of a read is more than a read brings. */
  #awaited(): undefined {
    const wanted = Math.max(this.#readMax, this.#loading.length * 2);
    this.#readMax = Math.min(LIMITS.readAheadMessagesMax, wanted);
  }

  #takeLoaded(): Loaded | undefined {
    const loaded = this.#first;
    if (loaded === undefined) return undefined;
    this.#first = loaded.next;
    if (this.#first === undefined) this.#last = undefined;
    loaded.next = undefined;
    this.#loadedCount--;
    return loaded;
  }

  /** While what was read is handed over, the next is read, if it has to be. */
  #readAhead(index: ReadyIndex): void {
    if (this.#loading.length > 0 || this.#loadedCount > this.#readMax / 2) return;
    const next = index.nextPosition();
    if (next === undefined || this.owner.store.peek(next) !== undefined) return;
    this.#load(index, [], this.#readMax);
  }

  /** Reads what is next, after `entries` and with them up to so many. */
  #load(index: ReadyIndex, entries: ReadyEntry[], countMax: number): void {
    while (entries.length < countMax && index.length > 0 && !isReadFull(entries, index.nextPosition()))
      entries.push(index.shift() as ReadyEntry);
    this.#loading = entries;
    void this.#read(entries);
  }

  async #read(entries: readonly ReadyEntry[]): Promise<void> {
    const positions = entries.map((entry) => entry.position);
    try {
      const messages = await this.owner.store.read(positions, LIMITS.readAheadBytesMax);
      if (this.#loading !== entries) return;
      this.#readFailure = undefined;
      this.#loading = NONE;
      for (const entry of entries.slice(messages.length)) this.putBack(entry);
      this.#merge(
        messages.map((message, i) => ({ entry: entries[i] as ReadyEntry, message, next: undefined })),
      );
      this.owner.onLoaded();
    } catch (error) {
      // A purge may have overtaken the read. Else nothing is skipped: the queue stands still, its messages are kept.
      if (this.#loading !== entries) return;
      // Or the store has brought messages forward, and the file where they were is gone.
      if (entries.some((entry, i) => entry.position !== positions[i])) return this.#read(entries);
      this.#standStill(entries, error);
    }
    return undefined;
  }

  /** Takes in what was read: mostly it follows what is there, but what came back belongs before. */
  #merge(read: Loaded[]): void {
    const last = this.#last?.entry.sequence ?? 0;
    const isAfter = (read[0] as Loaded).entry.sequence > last;
    const inOrder = isAfter
      ? read
      : [...this.#loaded(), ...read].toSorted((a, b) => a.entry.sequence - b.entry.sequence);
    if (!isAfter) this.#forgetLoaded();
    for (const loaded of inOrder) {
      loaded.next = undefined;
      this.#append(loaded);
    }
  }

  #forgetLoaded(): void {
    this.#first = this.#last = undefined;
    this.#loadedCount = 0;
  }

  *#loaded(): Generator<Loaded> {
    for (let one = this.#first; one !== undefined; one = one.next) yield one;
  }

  /** Nothing is skipped. It is tried again later: a disk may have hiccups, and somebody may have cured it. */
  #standStill(entries: readonly ReadyEntry[], error: unknown): void {
    const isNew = this.#readFailure === undefined;
    this.#readFailure = { error };
    if (isNew) this.owner.onReadFailure(error);
    this.owner.later(() => {
      if (this.#loading === entries && this.#readFailure !== undefined) void this.#read(entries);
    });
  }

  /** Empties it, and returns where they lie. */
  takeAll(): Iterable<Position> {
    const entries = [...this.#loaded()].map(({ entry }) => entry).concat(this.#loading);
    const index = this.#index;
    this.#forgetLoaded();
    this.#loading = NONE;
    this.#readFailure = undefined;
    this.#index = undefined;
    return positionsIn(entries, index);
  }

  /** The message with this sequence; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): Residence | undefined {
    const entry = this.#findLoaded(sequence) ?? this.#findLoading(sequence);
    if (entry === undefined) return this.#index?.find(sequence, position);
    if (position !== undefined) entry.position = position;
    return entry;
  }

  #findLoaded(sequence: number): ReadyEntry | undefined {
    if (this.#last === undefined || sequence > this.#last.entry.sequence) return undefined;
    for (let one = this.#first; one !== undefined && one.entry.sequence <= sequence; one = one.next)
      if (one.entry.sequence === sequence) return one.entry;
    return undefined;
  }

  #findLoading(sequence: number): ReadyEntry | undefined {
    const last = this.#loading.at(-1);
    if (last === undefined || sequence > last.sequence) return undefined;
    return this.#loading.find((one) => one.sequence === sequence);
  }
}

function* positionsIn(entries: readonly ReadyEntry[], index: ReadyIndex | undefined): Generator<Position> {
  for (const { position } of entries) yield position;
  for (let entry = index?.shift(); entry !== undefined; entry = index?.shift()) yield entry.position;
}

/** A read that ends before its last entries has to put them back one by one: those that are far away are not begun. */
function isReadFull(entries: readonly ReadyEntry[], next: Position | undefined): boolean {
  if (next === undefined || entries.length < FEW_MESSAGES) return false;
  return Math.abs(next - (entries[0] as ReadyEntry).position) >= LIMITS.readAheadBytesMax;
}
