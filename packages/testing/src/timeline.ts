import type { SeenMessage } from './seen.js';

/** One hop of a message. */
interface Hop {
  readonly at: number;
  readonly what: string;
}

interface Journey {
  readonly title: string;
  readonly hops: Hop[];
}

/** Data longer than this is cut in what is printed. Characters. */
const DATA_CHARS_MAX = 120;

/** What happened to each message, for people who wonder why a test has failed. */
export class Timeline {
  readonly #journeys = new Map<string, Journey>();
  #startedAt: number | undefined;

  /** Messages without an id are told apart by nothing but what they are. */
  add(
    { messageId, pattern, at, data }: Pick<SeenMessage, 'messageId' | 'pattern' | 'at' | 'data'>,
    what: string,
  ): void {
    this.#startedAt ??= at;
    const key = messageId === '' ? `${pattern} ${inspect(data)}` : messageId;
    let journey = this.#journeys.get(key);
    if (journey === undefined) {
      const name = messageId === '' ? 'no id' : messageId;
      this.#journeys.set(key, (journey = { title: `${pattern} ${inspect(data)} (${name})`, hops: [] }));
    }
    journey.hops.push({ at, what });
  }

  /** Each message with its hops, in the order in which they began; times since the first of all, by the broker's clock. */
  toString(): string {
    if (this.#journeys.size === 0) return 'No message was seen.';
    const start = this.#startedAt ?? 0;
    return [...this.#journeys.values()]
      .map(({ title, hops }) =>
        [title, ...hops.map(({ at, what }) => `  +${at - start} ms  ${what}`)].join('\n'),
      )
      .join('\n');
  }
}

/** In one line, and not too long. */
export function inspect(data: unknown): string {
  const text = textOf(data);
  return text.length > DATA_CHARS_MAX ? `${text.slice(0, DATA_CHARS_MAX)}…` : text;
}

function textOf(data: unknown): string {
  if (Buffer.isBuffer(data)) return `<${data.length} bytes>`;
  try {
    return JSON.stringify(data) ?? String(data);
  } catch {
    // A cycle, or a bigint.
    return String(data);
  }
}

export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : inspect(error);
}
