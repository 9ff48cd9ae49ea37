import type { Message } from '../message/message.js';
import type { Position } from './record.js';

/** Neighbours in the journal, in order of position. An entry without a message was settled. */
interface Page {
  readonly positions: number[];
  readonly messages: (Message | undefined)[];
  /** Queues that have not settled each yet. */
  readonly queues: number[];
  /** Entries with a message. */
  held: number;
  /** Entries up to this one have no message any more. */
  trimmed: number;
}

/** Where somebody was last. A page that was dropped since has no message to give. */
interface Place {
  page: Page | undefined;
  at: number;
}

const PAGE_ENTRIES = 256;
/** What a message costs in memory beside its body. Bytes, estimated. */
const OVERHEAD_BYTES = 256;
/** Pages that hold nothing are swept out when there are more of them than this, and than others. */
const EMPTY_PAGES_MAX = 64;

/**
 * Recently published messages, up to a byte budget, so that consumers who keep up never read the disk (J8). The
 * oldest go first; those not yet written can't go, since they are nowhere else.
 *
 * Positions only grow, so pages are found by halving, and nothing is hashed.
 */
export class BodyCache {
  /** In order of position. */
  #pages: Page[] = [];
  /** The first position of each page, beside it. */
  #firsts: number[] = [];
  #emptyPages = 0;
  #bytes = 0;
  readonly #lastGot: Place = { page: undefined, at: -1 };
  readonly #lastReleased: Place = { page: undefined, at: -1 };

  constructor(private readonly bytesMax: number) {}

  get pages(): number {
    return this.#pages.length;
  }

  /** Positions must grow. */
  add(position: Position, message: Message, queues: number): void {
    let page = this.#pages.at(-1);
    if (page === undefined || page.positions.length === PAGE_ENTRIES) {
      page = { positions: [], messages: [], queues: [], held: 0, trimmed: 0 };
      this.#pages.push(page);
      this.#firsts.push(position);
    }
    page.positions.push(position);
    page.messages.push(message);
    page.queues.push(queues);
    page.held++;
    this.#bytes += bytesOf(message);
  }

  get(position: Position): Message | undefined {
    const page = this.#pageOf(position, this.#lastGot);
    return page?.messages[placeIn(page, position, this.#lastGot)];
  }

  /** One queue has settled the message at `position`. */
  release(position: Position): void {
    const page = this.#pageOf(position, this.#lastReleased);
    if (page === undefined) return;
    const at = placeIn(page, position, this.#lastReleased);
    if (at < 0) return;
    const left = (page.queues[at] as number) - 1;
    page.queues[at] = left;
    if (left === 0) this.#remove(page, at);
  }

  /** Brings the cache back into its budget. Messages at `writtenUpTo` and above stay. */
  trim(writtenUpTo: Position): void {
    let gone = 0;
    while (gone < this.#pages.length && this.#trimPage(this.#pages[gone] as Page, writtenUpTo)) gone++;
    if (gone > 0) {
      this.#pages.splice(0, gone);
      this.#firsts.splice(0, gone);
      this.#emptyPages -= gone;
    }
    if (this.#emptyPages > EMPTY_PAGES_MAX && this.#emptyPages * 2 > this.#pages.length) this.#sweep();
  }

  /** Lets messages go from the page's start, as far as the budget wants it; returns whether the page is done with. */
  #trimPage(page: Page, writtenUpTo: Position): boolean {
    while (this.#bytes > this.bytesMax && page.trimmed < page.positions.length) {
      if ((page.positions[page.trimmed] as number) >= writtenUpTo) return false;
      this.#remove(page, page.trimmed++);
    }
    return isDone(page);
  }

  #remove(page: Page, at: number): void {
    const message = page.messages[at];
    if (message === undefined) return;
    page.messages[at] = undefined;
    page.held--;
    this.#bytes -= bytesOf(message);
    if (isDone(page)) this.#emptyPages++;
  }

  #sweep(): void {
    this.#pages = this.#pages.filter((page) => !isDone(page));
    this.#firsts = this.#pages.map(({ positions }) => positions[0] as number);
    this.#emptyPages = 0;
  }

  #pageOf(position: Position, last: Place): Page | undefined {
    // Consumers that keep up go from one message to the next.
    if (last.page?.positions[last.at + 1] === position) return last.page;
    const firsts = this.#firsts;
    // A backlog is older than all that is here.
    if (firsts.length === 0 || position < (firsts[0] as number)) return undefined;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((firsts[middle] as number) <= position) low = middle + 1;
      else high = middle;
    }
    return this.#pages[low - 1];
  }
}

function bytesOf({ body, propertiesBytes }: Message): number {
  return body.length + (propertiesBytes?.length ?? 0) + OVERHEAD_BYTES;
}

/** Nothing is in it, and nothing more comes into it. */
function isDone({ held, positions }: Page): boolean {
  return held === 0 && positions.length === PAGE_ENTRIES;
}

function placeIn(page: Page, position: Position, last: Place): number {
  const isNext = last.page === page && page.positions[last.at + 1] === position;
  const at = isNext ? last.at + 1 : placeOf(page.positions, position);
  if (at >= 0) {
    last.page = page;
    last.at = at;
  }
  return at;
}

/** Where `position` is in ascending positions, or -1. */
function placeOf(positions: readonly number[], position: Position): number {
  let low = 0;
  let high = positions.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = positions[middle] as number;
    if (found === position) return middle;
    if (found < position) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
