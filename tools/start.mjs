// `npm start`: sets up, then runs the first sample with the arguments given.
import { startSample } from './start-sample.mjs';

startSample('01-orders', process.argv.slice(2));
