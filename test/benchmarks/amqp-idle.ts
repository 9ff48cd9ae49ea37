import { startRabbitMq } from '../peers/rabbitmq.js';
import type { LoadCommands } from './amqp-load-process.js';
import { type AmqpServer, rabbitMqServer, residentBytes, serveNestmq } from './amqp-servers.js';
import { type BenchmarkRun, mib, rounded, secondsOf } from './figure.js';
import { RemoteProcess } from './remote-process.js';
import { inDirectory } from './traffic.js';

const KINDS = ['connections', 'channels', 'queues', 'consumers'] as const;
const COUNT = 10_000;
/** RabbitMQ takes longer, and more memory. */
const COUNT_OF_RABBITMQ = 2000;
const SMOKE_COUNT = 50;

/**
 * What is held and does nothing costs the server so much: 10,000 connections with heartbeats agreed on, 10,000 channels
 * on five of them, 10,000 durable queues, and a consumer of each, one after the other in one run, so that in the end
 * all are held at once. Bytes are the growth of the server's resident memory by their number. Beside it RabbitMQ, with
 * 2,000 of each. Server and client need as many open files each as there are connections (`ulimit -Hn`).
 */
export async function amqpIdle(run: BenchmarkRun): Promise<void> {
  const count = run.smoke ? SMOKE_COUNT : COUNT;
  await inDirectory(async (directory) => {
    await measure(run, 'nestmq', await serveNestmq(['--data', directory]), count);
  });
  const rabbitMq = run.smoke ? undefined : await startRabbitMq();
  if (rabbitMq === undefined) return;
  await measure(run, `RabbitMQ ${rabbitMq.version}`, rabbitMqServer(rabbitMq), COUNT_OF_RABBITMQ);
}

async function measure(
  { print }: BenchmarkRun,
  name: string,
  server: AmqpServer,
  count: number,
): Promise<void> {
  const client = new RemoteProcess<LoadCommands>(new URL('./amqp-load-process.js', import.meta.url));
  const resident = (): number => residentBytes(server.pid)?.now ?? NaN;
  try {
    // What the first of each needs is there before.
    await client.call('start', server.port);
    for (const kind of KINDS) await client.call(kind, 1);
    for (const kind of KINDS) {
      const before = resident();
      const seconds = await secondsOf(() => client.call(kind, count));
      const bytes = resident() - before;
      print({
        scenario: 'amqp-idle',
        server: name,
        kind,
        held: count,
        bytesEach: rounded(bytes / count),
        seconds: rounded(seconds, 1),
      });
    }
    print({ scenario: 'amqp-idle', server: name, kind: 'all', residentMib: mib(resident()) });
    await client.call('end');
  } finally {
    await client.end();
    await server.stop();
  }
}
