import { startRabbitMq } from '../peers/rabbitmq.js';
import type { Load } from './amqp-load.js';
import type { LoadCommands } from './amqp-load-process.js';
import { type AmqpServer, rabbitMqServer, serveNestmq } from './amqp-servers.js';
import { type BenchmarkRun, median, rounded } from './figure.js';
import { RemoteProcess } from './remote-process.js';
import { inDirectory } from './traffic.js';

const ROUNDS = 3;
const MESSAGES = 30_000;
const SMOKE_MESSAGES = 100;
const BODY_BYTES = 256;

const CLIENTS = [
  'amqplib',
  'amqp-connection-manager',
  'rabbitmq-client',
  '@cloudamqp/amqp-client',
] as const satisfies readonly Load['client'][];
const KINDS = ['publish', 'consume'] as const satisfies readonly Load['kind'][];

interface Contestant {
  readonly name: string;
  readonly server: AmqpServer;
  readonly queueType?: string;
}

/**
 * The AMQP client libraries of Node.js, each on one connection in a process of its own, against `nestmq serve --memory` and
 * a quorum queue of RabbitMQ: persistent messages of 256 bytes, each publish confirmed, each delivery acked by itself, 1,000
 * unconfirmed or unsettled at once. Rounds alternate; rates are medians, in messages a second.
 */
export async function amqpClients(run: BenchmarkRun): Promise<void> {
  const rabbitMq = await startRabbitMq();
  const client = new RemoteProcess<LoadCommands>(new URL('./amqp-load-process.js', import.meta.url));
  await inDirectory(async () => {
    const nestmq = await serveNestmq(['--memory']);
    const contestants: Contestant[] = [{ name: 'nestmq --memory', server: nestmq }];
    if (rabbitMq !== undefined) {
      const name = `RabbitMQ ${rabbitMq.version} quorum`;
      contestants.push({ name, server: rabbitMqServer(rabbitMq), queueType: 'quorum' });
    }
    try {
      for (const contestant of contestants)
        for (const kind of KINDS) await race(run, client, contestant, kind);
    } finally {
      await client.end();
      await nestmq.stop();
      await rabbitMq?.stop();
    }
  });
}

async function race(
  { smoke, options, print }: BenchmarkRun,
  process: RemoteProcess<LoadCommands>,
  { name, server, queueType }: Contestant,
  kind: (typeof KINDS)[number],
): Promise<void> {
  const messages = smoke ? SMOKE_MESSAGES : (options.messages ?? MESSAGES);
  const rates = new Map<string, number[]>(CLIENTS.map((client) => [client, []]));
  for (let round = 0; round < (smoke ? 1 : ROUNDS); round++) {
    for (const client of CLIENTS) {
      const load = { client, kind, bodyBytes: BODY_BYTES, connections: 1, port: server.port, queueType };
      rates.get(client)?.push(messages / (await process.call('putLoad', { ...load, messages })));
    }
  }
  const figure = { scenario: 'amqp-clients', server: name, kind, bodyBytes: BODY_BYTES };
  for (const [client, measured] of rates)
    print({ ...figure, client, messagesPerSecond: rounded(median(measured)) });
}
