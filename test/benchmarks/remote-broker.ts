import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Commands } from './broker-process.js';

type Argument<N extends keyof Commands> = Parameters<Commands[N]>;
type Result<N extends keyof Commands> = Awaited<ReturnType<Commands[N]>>;

/** A broker in a process of its own, which does one thing at a time. */
export class RemoteBroker {
  readonly #process: ChildProcess = fork(fileURLToPath(new URL('./broker-process.js', import.meta.url)), {
    execArgv: ['--enable-source-maps', '--expose-gc'],
  });

  /** Rejects with the error that there was in the other process, or when that process has ended. */
  call<N extends keyof Commands>(name: N, ...[argument]: Argument<N>): Promise<Result<N>> {
    return new Promise((resolve, reject) => {
      const child = this.#process;
      const onExit = (): void => reject(new Error(`the broker's process ended during '${name}'`));
      child.once('exit', onExit);
      child.once('message', (reply: { readonly value: Result<N>; readonly error?: string }) => {
        child.off('exit', onExit);
        if (reply.error === undefined) resolve(reply.value);
        else reject(new Error(`'${name}' in the broker's process: ${reply.error}`));
      });
      child.send({ name, argument });
    });
  }

  /** Ends the process. The broker should be closed before. Idempotent. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.disconnect();
    await exited;
  }
}
