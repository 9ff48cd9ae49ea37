import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** What a process can be asked to do: each with one argument, or none. */
export type Commands = Record<string, (argument: never) => Promise<unknown>>;
type Argument<C extends Commands, N extends keyof C> = Parameters<C[N]>;
type Result<C extends Commands, N extends keyof C> = Awaited<ReturnType<C[N]>>;

/** Another process, which does one thing at a time; its program calls {@link serveCommands}. */
export class RemoteProcess<C extends Commands> {
  readonly #process: ChildProcess;

  constructor(program: URL) {
    this.#process = fork(program, { execArgv: ['--enable-source-maps', '--expose-gc'] });
  }

  /** Rejects with the error that there was in the other process, or when that process has ended. */
  call<N extends keyof C & string>(name: N, ...[argument]: Argument<C, N>): Promise<Result<C, N>> {
    return new Promise((resolve, reject) => {
      const child = this.#process;
      const onExit = (): void => reject(new Error(`the other process ended during '${name}'`));
      child.once('exit', onExit);
      child.once('message', (reply: { readonly value: Result<C, N>; readonly error?: string }) => {
        child.off('exit', onExit);
        if (reply.error === undefined) resolve(reply.value);
        else reject(new Error(`'${name}' in the other process: ${reply.error}`));
      });
      child.send({ name, argument });
    });
  }

  /** Ends the process. What it has should be closed before. Idempotent. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.disconnect();
    await exited;
  }
}

/** The other end: answers what a {@link RemoteProcess} calls, until whoever started this process is gone. */
export function serveCommands(commands: Commands): void {
  process.on('disconnect', () => process.exit());
  process.on('message', ({ name, argument }: { name: string; argument: never }) => {
    const done = (commands[name] as (argument: never) => Promise<unknown>)(argument);
    done.then(
      (value) => process.send?.({ value }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
    );
  });
}
