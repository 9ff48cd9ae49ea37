// `npm run fuzz -- --frames N --seed S`: sets up, then sends an AMQP server in a process of its own frames that are wrong.
import { node, setUp } from './setup.mjs';

setUp();
node('--enable-source-maps', 'test/dist/amqp/fuzz-main.js', ...process.argv.slice(2));
