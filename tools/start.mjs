// `npm start`: sets up, then runs the first sample with the arguments given.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';

setUp('sample');
const sample = spawn(
  process.execPath,
  ['--enable-source-maps', join(root, 'sample/dist/01-orders/main.js'), ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
// A terminal sends Ctrl-C to both; a supervisor's SIGTERM comes here only.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => sample.kill('SIGTERM'));
sample.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
