// `npm run pack`: sets up, then packs what would be published into packs/.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, setUp } from './setup.mjs';

setUp();
const packs = join(root, 'packs');
rmSync(packs, { recursive: true, force: true });
mkdirSync(packs);
for (const name of ['broker', 'transport', 'testing']) {
  run('npm', ['pack', '--silent', '--pack-destination', packs, '-w', `packages/${name}`], {
    shell: process.platform === 'win32',
  });
}
