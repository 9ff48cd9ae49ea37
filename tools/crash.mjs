// `npm run crash -- --kills N --seed S`: sets up, then kills a working application again and again.
import { node, setUp } from './setup.mjs';

setUp();
node('--enable-source-maps', 'test/dist/crash/main.js', ...process.argv.slice(2));
