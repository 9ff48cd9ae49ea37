import { parseArgs } from 'node:util';
import { crashLoop } from './crash-loop.js';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const started = Date.now();
const result = await crashLoop(Number(values.kills), Number(values.seed));
console.log(
  JSON.stringify({
    scenario: 'crash',
    seed: Number(values.seed),
    ...result,
    seconds: (Date.now() - started) / 1000,
  }),
);
process.exitCode = result.lost === 0 && result.resurrected === 0 ? 0 : 1;
