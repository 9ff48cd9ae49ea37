import { startRabbitMq } from '../peers/rabbitmq.js';
import type { Load } from './amqp-load.js';
import type { LoadCommands } from './amqp-load-process.js';
import { type AmqpServer, rabbitMqServer, residentBytes, serveNestmq } from './amqp-servers.js';
import { type BenchmarkRun, median, mib, rounded } from './figure.js';
import { RemoteProcess } from './remote-process.js';
import { inDirectory } from './traffic.js';

const ROUNDS = 5;
/** Each contestant's rounds have as many messages as it does in so long. Seconds. */
const ROUND_SECONDS = 1.5;
const FIRST_MESSAGES = 2000;
const MESSAGES_MAX = 200_000;
/** Bodies of a round together: a backlog of it has to be held. */
const ROUND_BYTES_MAX = 1024 * 1024 * 1024;
const SMOKE_MESSAGES = 100;

const NESTMQ = 'nestmq';
const NESTMQ_MEMORY = 'nestmq --memory';

interface Contestant {
  readonly name: string;
  readonly server: AmqpServer;
  readonly queueType?: string;
}

type Case = Pick<Load, 'client' | 'kind' | 'bodyBytes' | 'connections'>;

const CASES: readonly Case[] = (['raw', 'amqplib'] as const).flatMap((client) =>
  (['publish', 'consume', 'both'] as const).flatMap((kind) =>
    [256, 16 * 1024].flatMap((bodyBytes) =>
      [1, 100].map((connections) => ({ client, kind, bodyBytes, connections })),
    ),
  ),
);

/**
 * AMQP servers under the same clients, in processes of their own on this machine: `nestmq serve --data`, and RabbitMQ with
 * durable classic and with quorum queues. Messages are persistent, publishes are confirmed, each delivery is acked by
 * itself; 1,000 unconfirmed, and as many unsettled, over all connections. The client is a raw one, which sends prepared
 * frames, or amqplib. `nestmq serve --memory`, under the same load, shows what is the disk's.
 *
 * Rounds alternate; rates and ratios are medians. A round has as many messages as the contestant does in about 1.5 s, or in
 * `--seconds`.
 * `--only TEXT` runs the cases whose names, such as `raw publish 256 B one connection`, have it.
 */
export async function amqpThroughput(run: BenchmarkRun): Promise<void> {
  const rabbitMq = await startRabbitMq();
  const client = new RemoteProcess<LoadCommands>(new URL('./amqp-load-process.js', import.meta.url));
  await inDirectory(async (directory) => {
    const nestmq = await serveNestmq(['--data', directory]);
    const memory = await serveNestmq(['--memory']);
    const contestants: Contestant[] = [
      { name: NESTMQ, server: nestmq },
      { name: NESTMQ_MEMORY, server: memory },
    ];
    if (rabbitMq !== undefined) {
      const server = rabbitMqServer(rabbitMq);
      contestants.push(
        { name: `RabbitMQ ${rabbitMq.version} classic`, server, queueType: 'classic' },
        { name: `RabbitMQ ${rabbitMq.version} quorum`, server, queueType: 'quorum' },
      );
    }
    try {
      printMemory(run, contestants, 'at the start');
      const { only = '' } = run.options;
      const cases = CASES.filter((one) => nameOf(one).includes(only));
      for (const one of run.smoke ? cases.filter(isQuick) : cases) await race(run, client, contestants, one);
      printMemory(run, contestants, 'at the end');
    } finally {
      await client.end();
      for (const server of [nestmq, memory]) await server.stop();
      await rabbitMq?.stop();
    }
  });
}

function nameOf({ client, kind, bodyBytes, connections }: Case): string {
  return `${client} ${kind} ${bodyBytes} B ${connections === 1 ? 'one connection' : `${connections} connections`}`;
}

/** Each client and kind once. */
function isQuick({ bodyBytes, connections }: Case): boolean {
  return bodyBytes === 256 && connections === 1;
}

async function race(
  { smoke, options, print }: BenchmarkRun,
  client: RemoteProcess<LoadCommands>,
  contestants: readonly Contestant[],
  one: Case,
): Promise<void> {
  const rateOf = async ({ server, queueType }: Contestant, messages: number): Promise<number> =>
    messages / (await client.call('putLoad', { ...one, port: server.port, queueType, messages }));
  const counts: number[] = [];
  for (const contestant of contestants) {
    if (smoke) counts.push(SMOKE_MESSAGES);
    else
      counts.push(
        messagesOf(one, (options.seconds ?? ROUND_SECONDS) * (await rateOf(contestant, FIRST_MESSAGES))),
      );
  }
  const rates: number[][] = contestants.map(() => []);
  for (let round = 0; round < (smoke ? 1 : ROUNDS); round++) {
    for (const [i, contestant] of contestants.entries())
      rates[i]?.push(await rateOf(contestant, counts[i] as number));
  }
  const medians = new Map(contestants.map(({ name }, i) => [name, median(rates[i] as number[])]));
  const figure = { scenario: 'amqp-throughput', ...one };
  for (const [server, rate] of medians) print({ ...figure, server, messagesPerSecond: rounded(rate) });
  const ours = medians.get(NESTMQ) as number;
  medians.delete(NESTMQ);
  for (const [server, rate] of medians)
    print({ ...figure, ratio: `${NESTMQ} / ${server}`, value: rounded(ours / rate, 2) });
}

function messagesOf({ bodyBytes }: Case, wanted: number): number {
  const max = Math.min(MESSAGES_MAX, Math.floor(ROUND_BYTES_MAX / bodyBytes));
  return Math.max(FIRST_MESSAGES, Math.min(max, Math.round(wanted)));
}

function printMemory({ print }: BenchmarkRun, contestants: readonly Contestant[], when: string): void {
  const seen = new Set<number>();
  for (const { name, server } of contestants) {
    if (seen.has(server.pid)) continue;
    seen.add(server.pid);
    const bytes = residentBytes(server.pid);
    if (bytes === undefined) continue;
    const figure = { scenario: 'amqp-throughput', server: name, when };
    print({ ...figure, residentMib: mib(bytes.now), residentPeakMib: mib(bytes.peak) });
  }
}
