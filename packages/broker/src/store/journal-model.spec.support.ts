import { ManualClock } from '../clock.js';
import type { Message } from '../message/message.js';
import { seededRandom } from '../random.spec.support.js';
import type { FileSystem } from './file-system.js';
import { JournalStore } from './journal-store.js';
import type {
  Appended,
  Marks,
  MessageStore,
  QueueMark,
  Recovered,
  Residence,
  Residents,
  StoredEntries,
} from './message-store.js';
import {
  checkMark,
  checkMove,
  checkTransaction,
  fail,
  inWords,
  nameOf,
} from './journal-verdict.spec.support.js';
import { UNMARKED } from './random-mark.spec.support.js';
import type { Position } from './record.js';
import { markAt } from './recovered-marks.js';

export const JOURNAL = '/data/journal';

export interface JournalSettings {
  readonly segmentBytesMax?: number;
  readonly cacheBytesMax?: number;
  readonly settlementDelayMs?: number;
  readonly clock?: ManualClock;
  readonly directory?: string;
  readonly diskFreeBytesMin?: number;
  readonly onBlocked?: (reason: string | undefined) => void;
  readonly onFailure?: (error: Error) => void;
  readonly onHealed?: () => void;
  readonly newSegmentKey?: () => number;
}

/** Keys for segments, the same each time. */
export function seededKeys(seed: number): () => number {
  const random = seededRandom(seed);
  return () => Math.floor(random() * 2 ** 48);
}

/** A journal with small segments. Settlements wait for a publish or for the clock, which stands still. */
export function journalOn(fileSystem: FileSystem, settings: JournalSettings = {}): JournalStore {
  return new JournalStore({
    fileSystem,
    clock: new ManualClock(),
    directory: JOURNAL,
    segmentBytesMax: 4096,
    cacheBytesMax: 1024 * 1024,
    settlementDelayMs: 5,
    diskFreeBytesMin: 0,
    onFailure: () => {},
    newSegmentKey: seededKeys(1),
    ...settings,
  });
}

export function persistent(body: string | Buffer, routingKey = 'key'): Message {
  return {
    exchange: 'x',
    routingKey,
    properties: { deliveryMode: 2, headers: { of: routingKey } },
    body: Buffer.from(body),
  };
}

export function durable(store: Pick<MessageStore, 'whenDurable'>): Promise<void> {
  return new Promise((resolve, reject) => {
    store.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
  });
}

/** One message in one queue. Steps are numbers of operations, counted by the model. */
export interface ModelEntry {
  readonly queueId: number;
  readonly sequence: number;
  position: Position;
  readonly message: Message;
  /** The message as the store gave it back, after a crash. */
  given?: Message | undefined;
  readonly added: number;
  removed: number | undefined;
  /** What a move made of it. */
  movedTo: readonly ModelEntry[];
  /** As published. */
  readonly mark: QueueMark | undefined;
  /** Requeues. Each says when the message is ready from then on. */
  readonly counts: { readonly step: number; readonly count: number; readonly readyAt: number }[];
}

/** How far things had come when the machine stopped. */
export interface Moment {
  /** Steps up to this one were reported durable. */
  readonly durable: number;
  /** Steps up to this one were begun. */
  readonly begun: number;
}

/** Does to a store what is asked, and knows what the store must have after a crash (J3). */
export class JournalModel implements Residents {
  entries: ModelEntry[] = [];
  /** Told of each operation, in words. */
  trace: ((operation: string) => void) | undefined;
  readonly #definitions: { readonly step: number; readonly key: string; readonly value: unknown }[] = [];
  #transactions: {
    readonly step: number;
    readonly added: ModelEntry[];
    readonly settled: readonly ModelEntry[];
  }[] = [];
  /** What the last check found. */
  #found: ReadonlyMap<string, Found> = new Map();
  #step = 0;
  #durable = 0;

  constructor(private store: MessageStore) {}

  /** Operations that were done so far. */
  get steps(): number {
    return this.#step;
  }

  get moment(): Moment {
    return { durable: this.#durable, begun: this.#step };
  }

  /** Messages that were not settled, whether durable or not. */
  live(): ModelEntry[] {
    return this.entries.filter((entry) => entry.removed === undefined);
  }

  find(queueId: number, sequence: number): Residence | undefined {
    const entry = this.#live(queueId, sequence);
    if (entry === undefined) return undefined;
    const last = entry.counts.at(-1);
    const mark = last === undefined ? entry.mark : { ...(entry.mark ?? UNMARKED), readyAt: last.readyAt };
    return { position: entry.position, deliveryCount: last?.count ?? 0, mark };
  }

  relocate(queueId: number, sequence: number, position: Position): void {
    const entry = this.#live(queueId, sequence);
    if (entry !== undefined) entry.position = position;
  }

  #live(queueId: number, sequence: number): ModelEntry | undefined {
    return this.entries.find(
      (entry) => entry.queueId === queueId && entry.sequence === sequence && entry.removed === undefined,
    );
  }

  publish(message: Message, queueIds: readonly number[], marks?: Marks): void {
    const step = ++this.#step;
    const appended = this.store.publish(message, queueIds, 0, marks);
    this.trace?.(`publish ${appended.sequence} to ${queueIds.join(', ')}${inWords(marks)}`);
    this.#addAll(appended, { message, queueIds, marks, step });
  }

  settle(entry: ModelEntry): void {
    entry.removed = ++this.#step;
    this.trace?.(`settle ${nameOf(entry)}`);
    this.store.settle(entry.queueId, entry.sequence, entry.position);
  }

  requeue(entry: ModelEntry, readyAt: number = 0): void {
    const count = (entry.counts.at(-1)?.count ?? 0) + 1;
    entry.counts.push({ step: ++this.#step, count, readyAt });
    this.trace?.(`requeue ${nameOf(entry)}, count ${count}, ready at ${readyAt}`);
    this.store.requeue(entry.queueId, entry.sequence, entry.position, count, readyAt);
  }

  move(entry: ModelEntry, routingKey: string, queueIds: readonly number[], marks?: Marks): void {
    const step = ++this.#step;
    const message = persistent(entry.message.body, routingKey);
    const from = { ...entry, message: entry.given ?? entry.message };
    const appended = this.store.move(from, message, queueIds, 0, marks);
    this.trace?.(`move ${nameOf(entry)} to ${queueIds.join(', ')} as ${appended.sequence}${inWords(marks)}`);
    entry.removed = step;
    entry.movedTo = this.#addAll(appended, { message, queueIds, marks, step });
  }

  /** Empties a queue, but for some that are in a consumer's hands. */
  discard(queueId: number, kept: readonly ModelEntry[]): void {
    const step = ++this.#step;
    const all = this.live().filter((entry) => entry.queueId === queueId);
    const gone = all.filter((entry) => !kept.includes(entry));
    const through = Math.max(0, ...all.map(({ sequence }) => sequence));
    this.trace?.(`discard queue ${queueId} through ${through}, but ${kept.map(nameOf).join(', ')}`);
    const keptSequences = kept.map(({ sequence }) => sequence);
    this.store.discard(
      queueId,
      through,
      keptSequences,
      gone.map(({ position }) => position),
    );
    for (const entry of gone) entry.removed = step;
  }

  /** Publishes and settles in one transaction. */
  transact(
    messages: readonly Message[],
    queueIds: readonly number[],
    settled: readonly ModelEntry[],
    marks?: Marks,
  ): void {
    const step = ++this.#step;
    const publications = messages.map((message) => ({
      message,
      journaledQueueIds: queueIds,
      otherQueues: 0,
      marks,
    }));
    this.trace?.(
      `transaction: ${messages.length} to ${queueIds.join(', ')}${inWords(marks)}, settles ${settled.map(nameOf).join(', ')}`,
    );
    const appended = this.store.transact(publications, settled);
    const added = messages.flatMap((message, i) =>
      this.#addAll(appended[i] as Appended, { message, queueIds, marks, step }),
    );
    for (const entry of settled) entry.removed = step;
    this.#transactions.push({ step, added, settled });
  }

  define(key: string, value: unknown): void {
    this.#definitions.push({ step: ++this.#step, key, value });
    this.trace?.(`define ${key} as ${JSON.stringify(value)}`);
    this.store.define(key, value);
  }

  /** Takes note when all steps so far are durable. */
  watch(): void {
    const { store } = this;
    const step = this.#step;
    store.whenDurable((error) => {
      // A store that a crash has taken away says nothing about the one that came after it.
      if (error === undefined && store === this.store) this.#durable = step;
    });
  }

  #addAll(
    { sequence, position }: Appended,
    added: {
      readonly message: Message;
      readonly queueIds: readonly number[];
      readonly marks: Marks | undefined;
      readonly step: number;
    },
  ): ModelEntry[] {
    const { message, queueIds, marks, step } = added;
    const entries = queueIds.map((queueId, i): ModelEntry => ({
      queueId,
      sequence,
      position,
      message,
      mark: marks?.[i],
      added: step,
      removed: undefined,
      movedTo: [],
      counts: [],
    }));
    this.entries.push(...entries);
    return entries;
  }

  // ---------------------------------------------------------------- after a crash

  /** Throws, in words, when `store` does not have what it must have when it stopped at `moment`. */
  async check(store: MessageStore, recovered: Recovered, moment: Moment = this.moment): Promise<void> {
    const found = await foundIn(store, recovered);
    this.#found = found;
    for (const entry of this.entries) this.#checkEntry(entry, found.get(nameOf(entry)), moment);
    for (const entry of this.entries) checkMove(entry, found, moment);
    for (const transaction of this.#transactions) checkTransaction(transaction, found, moment);
    const known = new Set(this.entries.map(nameOf));
    for (const name of found.keys()) if (!known.has(name)) fail(`${name} was never published`);
    this.#checkDefinitions(recovered.definitions, moment);
  }

  #checkEntry(entry: ModelEntry, found: Found | undefined, { durable: sure, begun }: Moment): void {
    const must = entry.added <= sure && (entry.removed === undefined || entry.removed > begun);
    const mustNot = entry.added > begun || (entry.removed !== undefined && entry.removed <= sure);
    if (must && found === undefined) fail(`${nameOf(entry)} was confirmed and is lost`);
    if (mustNot && found !== undefined) fail(`${nameOf(entry)} is back, though it should be gone`);
    if (found === undefined) return;
    if (!found.message.body.equals(entry.message.body)) fail(`${nameOf(entry)} has another body`);
    if (found.message.routingKey !== entry.message.routingKey) fail(`${nameOf(entry)} has another key`);
    const counts = entry.counts.filter(({ step }) => step <= begun);
    const least = counts.findLast(({ step }) => step <= sure)?.count ?? 0;
    const most = counts.at(-1)?.count ?? 0;
    if (found.deliveryCount < least || found.deliveryCount > most) {
      fail(`${nameOf(entry)} has the delivery count ${found.deliveryCount}, not ${least} to ${most}`);
    }
    checkMark(entry, found);
  }

  #checkDefinitions(found: ReadonlyMap<string, unknown>, { durable: sure, begun }: Moment): void {
    const keys = new Set([...this.#definitions.map(({ key }) => key), ...found.keys()]);
    for (const key of keys) {
      const history = this.#definitions.filter((one) => one.key === key && one.step <= begun);
      const last = history.findLast((one) => one.step <= sure)?.value ?? null;
      const allowed = [last, ...history.filter((one) => one.step > sure).map((one) => one.value)];
      const actual = found.get(key) ?? null;
      if (!allowed.some((value) => JSON.stringify(value) === JSON.stringify(actual))) {
        fail(`'${key}' is defined as ${JSON.stringify(actual)}, not ${JSON.stringify(allowed)}`);
      }
    }
  }

  /** Goes on with the store that was opened after a crash: what it has is from now on the truth. */
  adopt(store: MessageStore, { entries, definitions }: Recovered): void {
    this.store = store;
    const step = ++this.#step;
    this.#durable = step;
    this.#transactions = [];
    this.entries = this.entries.filter((entry) => {
      const found = rowsOf(entries.get(entry.queueId)).find((one) => one.sequence === entry.sequence);
      if (found === undefined) return false;
      entry.position = found.position;
      entry.given = this.#found.get(nameOf(entry))?.message;
      entry.removed = undefined;
      entry.movedTo = [];
      entry.counts.push({ step, count: found.deliveryCount, readyAt: found.mark.readyAt });
      return true;
    });
    for (const key of new Set(this.#definitions.map((one) => one.key))) {
      this.#definitions.push({ step, key, value: definitions.get(key) ?? null });
    }
  }
}

/** One message in one queue, as it was found. */
export interface Row {
  readonly sequence: number;
  readonly position: Position;
  readonly deliveryCount: number;
  readonly mark: QueueMark;
}

/** What was found in a queue, row by row. */
export function rowsOf(entries: StoredEntries | undefined): Row[] {
  return Array.from({ length: entries?.length ?? 0 }, (_, i) => ({
    sequence: entries?.sequences[i] as number,
    position: entries?.positions[i] as number,
    deliveryCount: entries?.deliveryCounts[i] as number,
    mark: markAt(entries ?? {}, i),
  }));
}

export interface Found extends Row {
  readonly message: Message;
}

/** What a store has, by queue and sequence. Throws when a queue is not in order. */
async function foundIn(store: MessageStore, recovered: Recovered): Promise<Map<string, Found>> {
  const found = new Map<string, Found>();
  for (const [queueId, columns] of recovered.entries) {
    const entries = rowsOf(columns);
    const messages = await store.read(entries.map(({ position }) => position));
    let previous = 0;
    for (const [i, entry] of entries.entries()) {
      if (entry.sequence <= previous) fail(`queue ${queueId} is out of order at ${entry.sequence}`);
      previous = entry.sequence;
      found.set(nameOf({ queueId, sequence: entry.sequence }), { ...entry, message: messages[i] as Message });
    }
  }
  return found;
}
