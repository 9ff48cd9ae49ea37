import { backupCommand } from './backup-command.js';
import { checkCommand } from './check-command.js';
import type { Command } from './command.js';
import { inspectCommand } from './inspect-command.js';
import { repairCommand } from './repair-command.js';
import { serveCommand } from './serve-command.js';

/** All subcommands, as `nestmq --help` lists them. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  checkCommand,
  repairCommand,
  inspectCommand,
  backupCommand,
];
