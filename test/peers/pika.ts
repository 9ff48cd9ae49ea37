import { spawnSync } from 'node:child_process';

const PYTHON = '/usr/bin/python3';

/**
 * Debian's python with pika, installed first where that can be done (Debian, as root, CI=true). Undefined, after a
 * line that says so, where it is not there; with CI=true that is an error.
 */
export function pythonWithPika(): string | undefined {
  if (!hasPika() && process.env['CI'] === 'true') install();
  if (hasPika()) return PYTHON;
  const line = 'python3-pika is not installed (apt-get install python3-pika): what needs it is skipped.';
  if (process.env['CI'] === 'true') throw new Error(line);
  process.stderr.write(`${line}\n`);
  return undefined;
}

function hasPika(): boolean {
  return spawnSync(PYTHON, ['-c', 'import pika'], { stdio: 'ignore' }).status === 0;
}

function install(): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return;
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const command of [['update'], ['install', '-y', '--no-install-recommends', 'python3-pika']]) {
    const { status } = spawnSync('apt-get', command, {
      env: environment,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) process.stderr.write(`apt-get ${command.join(' ')} failed.\n`);
  }
}
