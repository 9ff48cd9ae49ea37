// `npm run sample -- NAME …`: sets up, then runs a sample with the arguments given.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';
import { startSample } from './start-sample.mjs';

const isSample = (name) => existsSync(join(root, 'sample', name, 'main.ts'));
const [name = '', ...args] = process.argv.slice(2);
if (isSample(name) && name !== '') {
  startSample(name, args);
} else {
  const names = readdirSync(join(root, 'sample')).filter(isSample);
  console.error(`There is no sample '${name}'. Give one of: ${names.join(', ')}.`);
  process.exitCode = 2;
}
