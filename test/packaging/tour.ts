import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The code blocks of the README's tour, in the order in which they are typed. */
export interface Tour {
  /** Packs, makes a directory beside this one, and installs there. */
  readonly prepare: string;
  /** The whole application, main.ts. */
  readonly application: string;
  /** Compiles it. */
  readonly compile: string;
  readonly start: string;
  readonly signUp: string;
  readonly kill: string;
}

/** Throws where the section has other blocks than these. */
export function tourOf(readme: string): Tour {
  const [, section = ''] = readme.split(/^## Five minutes.*$/m);
  const [text = ''] = section.split(/^## /m);
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, code]) => ({
    language,
    code,
  }));
  const languages = blocks.map(({ language }) => language).join();
  if (languages !== 'sh,ts,sh,sh') throw new Error(`The tour has other blocks than it had: ${languages}`);
  const [prepare, application, build, outside] = blocks.map(({ code = '' }) => code) as [
    string,
    string,
    string,
    string,
  ];
  const [compile, start] = twoLines(build);
  const [signUp, kill] = twoLines(outside);
  return { prepare, application, compile, start, signUp, kill };
}

function twoLines(block: string): [string, string] {
  const lines = block.trim().split('\n');
  if (lines.length !== 2) throw new Error(`Not two lines:\n${block}`);
  return lines as [string, string];
}

/** A process whose lines are read in their order. */
export class Started {
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown[]>;

  /** Starts a command of words without quotes, as a child of this very process. */
  constructor(command: string, cwd: string, env: Readonly<Record<string, string>>) {
    const [file = '', ...args] = command.split(' ');
    const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
    this.#child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
    this.#ended = once(this.#child, 'close');
  }

  /** Resolves when a line after those that were read has the text; rejects when the process ends without one. */
  async until(text: string): Promise<void> {
    for (let line = ''; !line.includes(text);) {
      const { done, value } = await this.#lines.next();
      if (done === true) throw new Error(`It ended without '${text}'.`);
      line = value;
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the exit code, or the signal that ended it. */
  async ended(): Promise<unknown> {
    const [code, signal] = await this.#ended;
    return code ?? signal;
  }
}
