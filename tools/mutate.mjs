// `npm run mutate`: sets up, then breaks copies of sample/06-testing and prints which of its tests has found it.
import { node, setUp } from './setup.mjs';

setUp();
node('--enable-source-maps', 'test/dist/mutation/main.js');
