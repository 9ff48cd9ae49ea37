// Sets the workspace up, on a bare machine with Node and npm: installs when the lock file is newer than what is
// installed, and builds what has changed. Plain JavaScript without dependencies, since it runs before there are any.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const NODE_MIN = [20, 19];

/** Runs a command with its output shown; ends this process with its exit code when it fails. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) {
    console.error(`${command} can't be run: ${error.message}`);
    process.exit(1);
  }
  if (status !== 0) {
    console.error(`${[command, ...args].join(' ')} failed (${signal ?? `exit code ${status}`}).`);
    process.exit(status ?? 1);
  }
}

export function node(...args) {
  run(process.execPath, args);
}

/** npm by its own script: the name of its command differs between platforms. */
function npm(...args) {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js')) run(process.execPath, [script, ...args], { stdio: ['inherit', 2, 'inherit'] });
  else run('npm', args, { shell: process.platform === 'win32', stdio: ['inherit', 2, 'inherit'] });
}

/** What was built before goes: a build leaves what it made of sources that are gone. */
export function clean() {
  for (const part of ['packages/broker', 'packages/transport', 'packages/testing', 'sample', 'test'])
    rmSync(join(root, part, 'dist'), { recursive: true, force: true });
}

/** Builds `project` and what it refers to; the whole workspace by default. */
export function setUp(project = 'tsconfig.json') {
  requireNode();
  install();
  node('node_modules/typescript/bin/tsc', '-b', project);
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  console.error(`nestmq needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

/** Installed means: by this lock file. The stamp goes with node_modules. */
function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.nestmq-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  npm('ci', '--no-audit', '--no-fund', '--loglevel=error');
  writeFileSync(stamp, lock);
}
