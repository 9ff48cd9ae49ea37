import type { ParseArgsConfig } from 'node:util';

/** What a command says and asks, so that tests can listen. */
export interface Terminal {
  /** Results. */
  out(line: string): void;
  /** Progress, questions and errors: what is not the result. */
  err(line: string): void;
  /** Resolves with what was typed; undefined when nobody is there to be asked. */
  ask(question: string): Promise<string | undefined>;
  /** As {@link ask}, and nobody sees what is typed. */
  askSecretly(question: string): Promise<string | undefined>;
  /** Resolves with all of the standard input. */
  input(): Promise<string>;
  /** Resolves when the process is asked to end. Without a call that ends it at once. */
  ended(): Promise<void>;
  /** Calls back each time that the process is asked to read its files anew (SIGHUP). Without a call that ends it at once. */
  onReload(callback: () => void): void;
}

/** 0: done, or sound. 1: damaged. 2: it could not be done, or was not asked for rightly. */
export type ExitCode = 0 | 1 | 2;

export interface CommandArguments {
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

/** A subcommand, listed in commands.ts. */
export interface Command {
  /** One word, or two: `user add`. */
  readonly name: string;
  /** Its positional arguments, all required: `DIR TO`. */
  readonly parameters: readonly string[];
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** In one line. */
  readonly summary: string;
  /** What else its `--help` says. */
  readonly help: string;
  run(given: CommandArguments, terminal: Terminal): Promise<ExitCode>;
}

export const JSON_OPTION = { json: { type: 'boolean' } } as const;
