import { backupCommand } from './backup-command.js';
import { checkCommand } from './check-command.js';
import type { Command } from './command.js';
import { DEFINITIONS_COMMANDS } from './definitions-commands.js';
import { inspectCommand } from './inspect-command.js';
import { PERMISSION_COMMANDS } from './permission-commands.js';
import { POLICY_COMMANDS } from './policy-commands.js';
import { repairCommand } from './repair-command.js';
import { serveCommand } from './serve-command.js';
import { USER_COMMANDS } from './user-commands.js';
import { VHOST_COMMANDS } from './vhost-commands.js';

/** All subcommands, as `nestmq --help` lists them. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  checkCommand,
  repairCommand,
  inspectCommand,
  backupCommand,
  ...USER_COMMANDS,
  ...VHOST_COMMANDS,
  ...PERMISSION_COMMANDS,
  ...POLICY_COMMANDS,
  ...DEFINITIONS_COMMANDS,
];
