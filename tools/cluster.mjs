// `npm run cluster -- --messages N`: sets up, then kills the leader of a quorum queue, in a RabbitMQ cluster of three nodes,
// under load.
import { node, setUp } from './setup.mjs';

setUp();
node('--enable-source-maps', 'test/dist/cluster/main.js', ...process.argv.slice(2));
