import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';

/** Sets up, then runs `main.js` of a sample; this process ends as that does. */
export function startSample(name, args) {
  setUp('sample');
  const main = join(root, 'sample/dist', name, 'main.js');
  const sample = spawn(process.execPath, ['--enable-source-maps', main, ...args], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both; a supervisor's SIGTERM comes here only.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => sample.kill('SIGTERM'));
  sample.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
}
