import 'reflect-metadata';
import { cpus } from 'node:os';
import { amqpClients } from './amqp-clients.js';
import { amqpIdle } from './amqp-idle.js';
import { amqpThroughput } from './amqp-throughput.js';
import { backlog } from './backlog.js';
import { readCommandLine } from './command-line.js';
import { confirmLatency } from './confirm-latency.js';
import { engineLmdb } from './engine-lmdb.js';
import { fanOut } from './fan-out.js';
import type { BenchmarkRun } from './figure.js';
import { journal } from './journal.js';
import { nestEmit } from './nest-emit.js';
import { nestRequest } from './nest-request.js';
import { queues } from './queues.js';
import { stuck } from './stuck.js';
import { testBroker } from './test-broker.js';

const SCENARIOS: Record<string, (run: BenchmarkRun) => Promise<void>> = {
  journal,
  'engine-lmdb': engineLmdb,
  queues,
  'fan-out': fanOut,
  'confirm-latency': confirmLatency,
  stuck,
  backlog,
  'nest-emit': nestEmit,
  'nest-request': nestRequest,
  'amqp-throughput': amqpThroughput,
  'amqp-idle': amqpIdle,
  'amqp-clients': amqpClients,
  'test-broker': testBroker,
};

const { names, smoke, options } = readCommandLine();
const print: BenchmarkRun['print'] = (figure) => console.log(JSON.stringify(figure));

print({
  scenario: 'machine',
  node: process.version,
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? '',
  smoke,
});
for (const name of names.length === 0 ? Object.keys(SCENARIOS) : names) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined)
    throw new Error(`There is no scenario '${name}'. Scenarios are: ${Object.keys(SCENARIOS).join(', ')}.`);
  await scenario({ smoke, options, print });
}
