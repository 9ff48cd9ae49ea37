// `npm run pack [-- DIRECTORY]`: sets up, then packs what would be published, into packs/ by default.
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root, run, setUp } from './setup.mjs';

setUp();
const packs = process.argv[2] === undefined ? join(root, 'packs') : resolve(process.argv[2]);
rmSync(packs, { recursive: true, force: true });
mkdirSync(packs, { recursive: true });
for (const name of ['broker', 'transport', 'testing']) {
  run('npm', ['pack', '--silent', '--pack-destination', packs, '-w', `packages/${name}`], {
    shell: process.platform === 'win32',
  });
}
