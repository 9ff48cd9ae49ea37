// `npm run crash -- --kills N --seed S [--phase NAME]`: sets up, then kills a working application, and the engine in
// every phase of its store's life, again and again.
import { node, setUp } from './setup.mjs';

setUp();
node('--enable-source-maps', 'test/dist/crash/main.js', ...process.argv.slice(2));
