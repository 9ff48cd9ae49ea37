import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';

/**
 * Whether something of Debian's packages is there; installs them first where that can be done (Debian, as root, CI=true).
 * When it is not there, a line says so, and with CI=true that is an error.
 */
export function hasDebianPackages(names: readonly string[], isThere: () => boolean): boolean {
  if (!isThere() && process.env['CI'] === 'true') install(names);
  if (isThere()) return true;
  const all = names.join(' ');
  const line = `${all} is not installed (apt-get install ${all}): what needs it is skipped.`;
  if (process.env['CI'] === 'true') throw new Error(line);
  process.stderr.write(`${line}\n`);
  return false;
}

/** Whether a command ends with 0. Its output is thrown away. */
export function succeeds(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function install(names: readonly string[]): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return;
  aptGet({}, ['update'], ['install', '-y', '--no-install-recommends', ...names]);
}

/** One after the other, and not while another test's process installs something. What fails is said. */
export function aptGet(environment: NodeJS.ProcessEnv, ...commands: readonly string[][]): void {
  for (const command of commands) {
    const lock = join(tmpdir(), 'nestmq-tests-apt.lock');
    const { status } = spawnSync('flock', [lock, 'apt-get', ...command], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...environment },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) process.stderr.write(`apt-get ${command.join(' ')} failed.\n`);
  }
}
