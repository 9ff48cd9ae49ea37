// `npm run pack [-- [--built] [DIRECTORY]]`: sets up, then packs what would be published, into packs/ by default. With
// --built it packs what there is, and sets nothing up.
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root, run, setUp } from './setup.mjs';

const args = process.argv.slice(2);
const directory = args.find((arg) => arg !== '--built');
if (!args.includes('--built')) setUp();
const packs = directory === undefined ? join(root, 'packs') : resolve(directory);
rmSync(packs, { recursive: true, force: true });
mkdirSync(packs, { recursive: true });
for (const name of ['broker', 'transport', 'testing']) {
  run('npm', ['pack', '--silent', '--pack-destination', packs, '-w', `packages/${name}`], {
    shell: process.platform === 'win32',
  });
}
