import { startRabbitMq } from '../peers/rabbitmq.js';
import { serveNestmq } from './amqp-servers.js';
import type { Figure } from './figure.js';
import { type Contestant, fileContestant, queueContestant, rmqContestant } from './nest-contestants.js';
import { inDirectory } from './traffic.js';

/** What everything is compared with. */
export const NEST_RMQ = 'Nest RMQ on RabbitMQ';

/**
 * Runs `race` with our transport on a directory, on our broker and on RabbitMQ in processes of their own (with classic
 * queues, as Nest's, and with quorum queues, its default), and with Nest's RMQ transport on both brokers. Without a
 * RabbitMQ, what needs it is left out.
 */
export async function withEveryHome(
  race: (contestants: readonly Contestant[]) => Promise<void>,
  print: (figure: Figure) => void,
  more: readonly Contestant[] = [],
): Promise<void> {
  await inDirectory(async (directory) => {
    const nestmq = await serveNestmq(['--data', directory]);
    const rabbitMq = await startRabbitMq();
    const contestants = [...more];
    try {
      const url = `amqp://guest:guest@127.0.0.1:${nestmq.port}`;
      contestants.push(await fileContestant());
      contestants.push(await queueContestant('nestmq amqp: on nestmq', { url, queue: 'bench' }));
      contestants.push(await rmqContestant('Nest RMQ on nestmq', url));
      if (rabbitMq !== undefined) {
        const on = { url: rabbitMq.url };
        const classic = { ...on, queue: 'bench-classic', amqp: { queueType: 'classic' as const } };
        contestants.push(await queueContestant('nestmq amqp: on RabbitMQ, classic', classic));
        contestants.push(
          await queueContestant('nestmq amqp: on RabbitMQ, quorum', { ...on, queue: 'bench' }),
        );
        contestants.push(await rmqContestant(NEST_RMQ, rabbitMq.url));
        print({ scenario: 'nest', peer: 'RabbitMQ', version: rabbitMq.version });
      }
      await race(contestants);
    } finally {
      for (const contestant of contestants) await contestant.close();
      await rabbitMq?.stop();
      await nestmq.stop();
    }
  });
}

/** Prints each home's figure as a ratio to those that are there of `peers`. */
export function printRatios(
  scenario: string,
  values: ReadonlyMap<string, number>,
  peers: readonly string[],
  print: (figure: Figure) => void,
): void {
  for (const peer of peers) {
    const of = values.get(peer);
    if (of === undefined) continue;
    for (const [name, value] of values) {
      if (name === peer) continue;
      print({ scenario, ratio: `${name} / ${peer}`, value: Number((value / of).toFixed(2)) });
    }
  }
}
