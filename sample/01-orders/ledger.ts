import {
  closeSync,
  existsSync,
  fdatasync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  write,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const writeTo = promisify(write);
const syncOf = promisify(fdatasync);

/**
 * What one service knows, on the disk: facts by key, a JSON line each. Stands for the database that a real service
 * would have. A fact is recorded once; whoever asks again gets the first one.
 */
export class Ledger<Fact> {
  readonly #facts = new Map<string, Fact>();
  readonly #fd: number;
  #pending = '';
  #flushing: Promise<void> | undefined;

  constructor(
    file: string,
    private readonly onChange: () => void = () => {},
  ) {
    mkdirSync(dirname(file), { recursive: true });
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    this.#fd = openSync(file, 'a');
    // A crash may have cut the last line off.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole.length < text.length) ftruncateSync(this.#fd, Buffer.byteLength(whole));
    for (const line of whole.split('\n').slice(0, -1)) {
      const [key, fact] = JSON.parse(line) as [string, Fact];
      this.#facts.set(key, fact);
    }
  }

  get size(): number {
    return this.#facts.size;
  }

  keys(): Iterable<string> {
    return this.#facts.keys();
  }

  has(key: string): boolean {
    return this.#facts.has(key);
  }

  get(key: string): Fact | undefined {
    return this.#facts.get(key);
  }

  /** Resolves with the recorded fact when it is on the disk: this one, or the one that was there before. */
  async record(key: string, fact: Fact): Promise<Fact> {
    if (!this.#facts.has(key)) {
      this.#facts.set(key, fact);
      this.#pending += `${JSON.stringify([key, fact])}\n`;
    }
    await this.#flush();
    this.onChange();
    return this.#facts.get(key) as Fact;
  }

  /** Facts that come while a write is under way share the next one. */
  async #flush(): Promise<void> {
    while (this.#pending !== '') {
      this.#flushing ??= this.#write().finally(() => {
        this.#flushing = undefined;
      });
      await this.#flushing;
    }
    await this.#flushing;
  }

  async #write(): Promise<void> {
    const lines = Buffer.from(this.#pending);
    this.#pending = '';
    for (let from = 0; from < lines.length;) {
      from += (await writeTo(this.#fd, lines, from, lines.length - from, null)).bytesWritten;
    }
    await syncOf(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
