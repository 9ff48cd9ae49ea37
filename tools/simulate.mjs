// `npm run simulate -- --seeds N --from S`: sets up, then runs random histories of store and engine on a simulated disk.
import { node, setUp } from './setup.mjs';

setUp('packages/broker');
node('packages/broker/dist/simulate-main.spec.support.js', ...process.argv.slice(2));
