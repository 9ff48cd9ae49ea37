// `npm run pack [-- [--built] [DIRECTORY]]`: sets up, then packs what would be published, into packs/ by default. What was
// built before goes first: a build leaves what it made of sources that are gone. With --built it packs what there is.
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { clean, root, run, setUp } from './setup.mjs';

const args = process.argv.slice(2);
const directory = args.find((arg) => arg !== '--built');
const packages = ['broker', 'transport', 'testing'];
if (!args.includes('--built')) {
  clean();
  setUp();
}
const packs = directory === undefined ? join(root, 'packs') : resolve(directory);
rmSync(packs, { recursive: true, force: true });
mkdirSync(packs, { recursive: true });
for (const name of packages) {
  run('npm', ['pack', '--silent', '--pack-destination', packs, '-w', `packages/${name}`], {
    shell: process.platform === 'win32',
  });
}
