import { parseArgs } from 'node:util';
import { type AmqpServer, residentBytes, serveNestmq } from '../benchmarks/amqp-servers.js';
import { mib, rounded } from '../benchmarks/figure.js';
import { fuzz } from './fuzzing.js';

/** So many frames go before the memory is looked at first: what the first sessions need is there then. */
const WARM_UP_SHARE = 0.05;
/** What a server may have more of after any number of frames. MiB. */
const GROWTH_MIB_MAX = 128;

const { values } = parseArgs({
  options: { frames: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
});
const [frames, seed] = [Number(values.frames), Number(values.seed)];
if (!(Number.isInteger(frames) && frames > 0 && Number.isInteger(seed))) {
  process.stderr.write('--frames and --seed take whole numbers.\n');
  process.exit(2);
}

let warnings = '';
const server = await serveNestmq(['--memory'], { onError: (text) => (warnings += text) });
const residentMib = (of: AmqpServer): number => mib(residentBytes(of.pid)?.now ?? NaN);
const started = performance.now();
let crash = '';
let before = 0;
let done = { frames: 0, sessions: 0 };
try {
  const first = await fuzz(server.port, { frames: Math.ceil(frames * WARM_UP_SHARE), seed });
  before = residentMib(server);
  const rest = await fuzz(server.port, { frames: Math.max(1, frames - first.frames), seed: seed + 1 });
  done = { frames: first.frames + rest.frames, sessions: first.sessions + rest.sessions };
} catch (error) {
  crash = String(error);
}
const after = residentMib(server);
await server.stop();
// Nothing is expected there: each line that is no stack's is a failure that the server was told of.
const failures = warnings.split('\n').filter((line) => /^[^\s(]|^\(node:/.test(line)).length;
const figure = {
  ...done,
  seed,
  crashes: crash === '' ? 0 : 1,
  failures,
  residentBeforeMib: before,
  residentAfterMib: after,
  seconds: rounded((performance.now() - started) / 1000, 1),
};
process.stdout.write(`${JSON.stringify(figure)}\n`);
process.stderr.write(warnings + crash);
if (crash !== '' || failures > 0 || !(after - before < GROWTH_MIB_MAX)) process.exitCode = 1;
