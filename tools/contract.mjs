// `npm run contract`: what a link promises and what an application may rely on, shown on every home, as a table.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SUITES = ['feature-contract', 'link-contract', 'integration/cluster'];
/** In the order of the columns: how a home is called in the titles of the suites. */
const HOMES = [
  ['memory', ['memory']],
  ['file', ['file']],
  ['our broker, amqp', ['our broker by amqp', 'our broker over TCP']],
  ['RabbitMQ', ['RabbitMQ']],
  ['RabbitMQ cluster', ['a RabbitMQ cluster of three nodes']],
];
const PREFIXES = ['the features of the transport on ', 'the contract of a link: '];
const MARKS = { passed: 'passed', pending: 'not applicable', failed: 'FAILED' };

const directory = mkdtempSync(join(tmpdir(), 'nestmq-contract-'));
const output = join(directory, 'results.json');
const jest = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
const { status } = spawnSync(
  process.execPath,
  [...jest, ...SUITES, '--json', '--outputFile', output, '--silent'],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
const { testResults } = JSON.parse(readFileSync(output, 'utf8'));
rmSync(directory, { recursive: true, force: true });

const rows = new Map();
for (const { assertionResults } of testResults) {
  for (const { ancestorTitles, title, status: outcome } of assertionResults) {
    const home = homeOf(ancestorTitles[0]);
    if (home === undefined) continue;
    const name = [...ancestorTitles.slice(1), title].join(' › ');
    const row = rows.get(name) ?? new Map();
    rows.set(name, row.set(home, MARKS[outcome] ?? outcome));
  }
}
const columns = HOMES.map(([name]) => name);
console.log(`| | ${columns.join(' | ')} |\n|---|${columns.map(() => '---').join('|')}|`);
for (const [name, row] of rows)
  console.log(`| ${name} | ${columns.map((home) => row.get(home) ?? '–').join(' | ')} |`);
process.exitCode = status;

function homeOf(title) {
  const prefix = PREFIXES.find((one) => title.startsWith(one));
  if (prefix === undefined) return undefined;
  const rest = title.slice(prefix.length);
  return HOMES.find(([, names]) => names.includes(rest))?.[0];
}
