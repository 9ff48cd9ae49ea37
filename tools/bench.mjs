// `npm run bench`: sets up, then runs the benchmarks with the arguments given (`--smoke`, or names of scenarios).
import { node, setUp } from './setup.mjs';

setUp();
node('--enable-source-maps', '--expose-gc', 'test/dist/benchmarks/run.js', ...process.argv.slice(2));
