import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** A small disk of its own, in memory. */
export class Tmpfs {
  #bytes: number;
  /** The mount would outlive this process. */
  readonly #interrupted = (): void => {
    this.unmount();
    process.exit(1);
  };

  private constructor(
    readonly directory: string,
    bytes: number,
  ) {
    this.#bytes = bytes;
    for (const signal of SIGNALS) process.once(signal, this.#interrupted);
  }

  /** Returns why not when the system refuses: it takes root, and Linux. */
  static mount(directory: string, bytes: number): Tmpfs | string {
    mkdirSync(directory);
    const refusal = run('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'nestmq-crash', directory);
    return refusal ?? new Tmpfs(directory, bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** It stays as it is when more is on it. */
  resize(bytes: number): void {
    if (bytes === this.#bytes) return;
    if (run('mount', '-o', `remount,size=${bytes}`, this.directory) === undefined) this.#bytes = bytes;
  }

  /** Whoever still uses it may go on, until they end. */
  unmount(): void {
    for (const signal of SIGNALS) process.off(signal, this.#interrupted);
    const refusal = run('umount', '--lazy', this.directory);
    if (refusal !== undefined) throw new Error(refusal);
  }
}

/** Returns what went wrong, if anything did. */
function run(command: string, ...args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim();
}
