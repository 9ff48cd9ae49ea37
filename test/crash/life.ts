import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Workers are run as built, by plain Node, wherever this file is run from. */
const BUILT = resolve(
  fileURLToPath(new URL('.', import.meta.url)).replace(/\/test\/crash\/$/, '/test/dist/crash/'),
);

/**
 * One life of a worker, which says on its standard output, one word a line, what it has come to. It ends by itself, or
 * by {@link kill}.
 */
export class Life {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<number | NodeJS.Signals | null>;
  readonly #said = new Map<string, number>();
  #listeners: { readonly word: string; readonly resolve: () => void }[] = [];
  #output = '';
  #errors = '';

  constructor(worker: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, [`${BUILT}/${worker}.js`, ...args], {
      // Its standard input ends when this process does.
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout.on('data', (chunk: Buffer) => this.#hear(chunk.toString()));
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#ended = new Promise((done, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => done(signal ?? code));
    });
  }

  /** How often the word was said so far; once the worker has ended, in all. */
  count(word: string): number {
    return this.#said.get(word) ?? 0;
  }

  /** Resolves when the word was said, before this call or after it. Rejects when the worker ends without it. */
  said(word: string): Promise<void> {
    return this.count(word) > 0 ? Promise.resolve() : this.next(word);
  }

  /** Resolves when the word is said the next time. Rejects when the worker ends without it. */
  async next(word: string): Promise<void> {
    const heard = new Promise<'heard'>((done) => {
      this.#listeners.push({ word, resolve: () => done('heard') });
    });
    const first = await Promise.race([heard, this.#ended]);
    if (first !== 'heard') throw this.#unexpected(first, `before it said '${word}'`);
  }

  /** Resolves with how the worker has ended, by itself or not: its exit code, or the signal. */
  get ended(): Promise<number | NodeJS.Signals | null> {
    return this.#ended;
  }

  /** Resolves when the process is gone. Rejects when it had ended by itself. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    const end = await this.#ended;
    if (end !== 'SIGKILL') throw this.#unexpected(end, 'before it was killed');
  }

  /** Resolves when the worker has ended by itself, as it should. */
  async finished(): Promise<void> {
    const end = await this.#ended;
    if (end !== 0) throw this.#unexpected(end, 'instead of finishing');
  }

  /** For those who give up: whatever state it is in, it is gone then. */
  async abandon(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #unexpected(end: number | NodeJS.Signals | null, when: string): Error {
    return new Error(`the worker ended with ${String(end)} ${when}:\n${this.#errors}`);
  }

  #hear(chunk: string): void {
    const words = (this.#output + chunk).split('\n');
    this.#output = words.pop() ?? '';
    for (const word of words) {
      this.#said.set(word, this.count(word) + 1);
      const called = this.#listeners.filter((listener) => listener.word === word);
      this.#listeners = this.#listeners.filter((listener) => listener.word !== word);
      for (const listener of called) listener.resolve();
    }
  }
}
