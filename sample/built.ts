import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

/** A process that a test has started. */
export interface Running {
  readonly child: ChildProcess;
  /** Resolves when its output holds a text, with all of it; rejects when the process ends before. */
  until(text: string): Promise<string>;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

export interface RunInit {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a file of a sample as it was built, such as `tour/main.js`. */
export function runBuilt(file: string, args: readonly string[], init: RunInit = {}): Running {
  return runCommand(process.execPath, [resolve('sample/dist', file), ...args], init);
}

export function runCommand(command: string, args: readonly string[], { cwd, env }: RunInit = {}): Running {
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let check: (() => void) | undefined;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    check?.();
  });
  const ended = new Promise<number | NodeJS.Signals | null>((done) => {
    child.once('close', (code, signal) => done(code ?? signal));
  });
  const until = (text: string): Promise<string> =>
    new Promise((done, fail) => {
      check = () => {
        if (output.includes(text)) done(output);
      };
      void ended.then((how) => fail(new Error(`ended with ${String(how)} before '${text}':\n${output}`)));
      check();
    });
  return { child, until, ended };
}
