// `npm run docs`: sets up, then writes the API reference, from the sources' own words, into docs/api. `-- --emit none` only checks.
import { join } from 'node:path';
import { root, run, setUp } from './setup.mjs';

setUp();
run(process.execPath, ['node_modules/typedoc/bin/typedoc', ...process.argv.slice(2)], {
  cwd: join(root, 'tools/api-docs'),
});
