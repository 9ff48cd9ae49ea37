import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BrokerError, messageOf, systemCodeOf } from '../errors.js';
import type { Command, CommandArguments, ExitCode, Terminal } from './command.js';
import { COMMANDS } from './commands.js';

/** Runs what the arguments say. Never rejects: what went wrong is said, and in the exit code. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [name] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    terminal.out(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    terminal.out(version());
    return 0;
  }
  const command = COMMANDS.find((one) => isCalled(one, args));
  if (command !== undefined) return runCommand(command, args.slice(wordsOf(command).length), terminal);
  const group = COMMANDS.filter((one) => wordsOf(one)[0] === name);
  const given = group.length > 0 ? args.slice(0, 2).join(' ') : name;
  const wanted = group.length > 0 ? group : COMMANDS;
  return misused(terminal, `'${given}' is no command of nestmq.`, overview(wanted));
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function wordsOf({ name }: Command): string[] {
  return name.split(' ');
}

function isCalled(command: Command, args: readonly string[]): boolean {
  return wordsOf(command).every((word, i) => args[i] === word);
}

async function runCommand(command: Command, args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let given: CommandArguments;
  try {
    given = parse(command, args);
  } catch (error) {
    // What Node adds to it is how to give a name that begins with '-'.
    return misused(terminal, messageOf(error).replace(/ To specify a positional.*/s, ''), usageOf(command));
  }
  if (given.values['help'] === true) {
    terminal.out(`${usageOf(command)}\n\n${command.summary}. ${command.help}`);
    return 0;
  }
  if (given.positionals.length !== command.parameters.length) {
    const wanted = command.parameters.length === 0 ? 'options only' : command.parameters.join(' and ');
    return misused(terminal, `Give ${wanted}.`, usageOf(command));
  }
  try {
    return await command.run(given, terminal);
  } catch (error) {
    return failed(error, given, terminal);
  }
}

function parse({ options }: Command, args: readonly string[]): CommandArguments {
  return parseArgs({
    args: [...args],
    options: { ...options, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
}

function misused(terminal: Terminal, what: string, usage: string): ExitCode {
  terminal.err(`${what}\n${usage}`);
  return 2;
}

/** Damage is told apart from what keeps the command from its work. */
function failed(error: unknown, { values }: CommandArguments, terminal: Terminal): ExitCode {
  const code = error instanceof BrokerError ? error.code : (systemCodeOf(error) ?? 'UNKNOWN');
  if (values['json'] === true) terminal.out(JSON.stringify({ error: { code, message: messageOf(error) } }));
  terminal.err(messageOf(error));
  return code === 'JOURNAL_DAMAGED' ? 1 : 2;
}

function usageOf({ name, parameters, options }: Command): string {
  const flags = Object.entries(options).map(
    ([option, { type }]) => ` [--${option}${type === 'string' ? ' VALUE' : ''}]`,
  );
  return `Usage: nestmq ${[name, ...parameters].join(' ')}${flags.join('')}`;
}

function overview(commands: readonly Command[] = COMMANDS): string {
  const width = Math.max(...commands.map(({ name, parameters }) => [name, ...parameters].join(' ').length));
  const lines = commands.map(
    ({ name, parameters, summary }) => `  ${[name, ...parameters].join(' ').padEnd(width)}  ${summary}`,
  );
  return `Usage: nestmq COMMAND\n\n${lines.join('\n')}\n\nDIR is the directory that the broker was given. nestmq COMMAND --help tells more.`;
}
