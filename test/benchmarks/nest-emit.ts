import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, type INestApplication, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientRMQ,
  type CustomTransportStrategy,
  Ctx,
  EventPattern,
  Payload,
  RmqContext,
  ServerRMQ,
} from '@nestjs/microservices';
import { QueueClient, QueueModule, QueueServer } from '@nestmq/transport';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { type BenchmarkRun, median, rounded, secondsOf } from './figure.js';
import { NullClient, NullServer } from './null-transport.js';

/** Events that are emitted and not yet both confirmed and handled. */
const IN_FLIGHT = 500;
const PREFETCH = 500;
/** A realistic order, about 300 bytes of JSON. */
const EVENT = {
  id: 'ord-000123',
  customer: { name: 'Ada Lovelace', email: 'ada@example.org', country: 'GB' },
  lines: [
    { sku: 'BOOK-17', name: 'Notes on the Analytical Engine', quantity: 1, unitPriceCents: 2450 },
    { sku: 'PEN-03', name: 'Steel pen', quantity: 4, unitPriceCents: 120 },
  ],
  placedAt: '2026-01-15T10:20:30.000Z',
};

let onHandled: () => void = () => {};

@Controller()
class PlainHandler {
  @EventPattern('bench.event')
  handle(@Payload() _data: unknown): void {
    onHandled();
  }
}

@Controller()
class AckingHandler {
  @EventPattern<string>('bench.event')
  handle(@Payload() _data: unknown, @Ctx() context: RmqContext): void {
    (context.getChannelRef() as { ack: (message: unknown) => void }).ack(context.getMessage());
    onHandled();
  }
}

@Module({ controllers: [PlainHandler] })
class NullModule {}

@Module({ controllers: [AckingHandler] })
class RmqModule {}

type Emitter = Pick<ClientProxy, 'emit'>;

interface Contestant {
  readonly name: string;
  readonly client: Emitter;
  readonly close: () => Promise<void>;
}

/**
 * Nest `emit` until handled and settled, 500 in flight: on `file:` (confirmed after fdatasync), against a transport
 * that calls the handler directly, and against Nest's RMQ transport on RabbitMQ (durable queue, persistent messages,
 * manual ack). Rounds alternate; ratios are of medians.
 */
export async function nestEmit({ smoke, print }: BenchmarkRun): Promise<void> {
  const rabbitMq = await startRabbitMq();
  const contestants = [await nullContestant(), await fileContestant()];
  if (rabbitMq !== undefined) contestants.push(await rmqContestant(rabbitMq.url));
  try {
    const rates = await race(contestants, smoke);
    for (const { name } of contestants) {
      print({
        scenario: 'nest-emit',
        transport: name,
        messagesPerSecond: rounded(median(rates.get(name) as number[])),
      });
    }
    const file = median(rates.get('nestmq file:') as number[]);
    for (const { name } of contestants.filter((one) => one.name !== 'nestmq file:')) {
      print({
        scenario: 'nest-emit',
        ratio: `nestmq file: / ${name}`,
        value: rounded(file / median(rates.get(name) as number[]), 2),
      });
    }
    if (rabbitMq !== undefined) print({ scenario: 'nest-emit', peer: 'RabbitMQ', version: rabbitMq.version });
  } finally {
    for (const contestant of contestants) await contestant.close();
    await rabbitMq?.stop();
  }
}

async function race(contestants: readonly Contestant[], smoke: boolean): Promise<Map<string, number[]>> {
  const rounds = smoke ? 1 : 7;
  const rates = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  for (const { client } of contestants) await emitAndHandle(client, smoke ? 200 : 5000);
  for (let round = 0; round < rounds; round++) {
    for (const { name, client } of contestants) {
      const count = smoke ? 500 : name === 'Nest RMQ' ? 10_000 : 40_000;
      const seconds = await secondsOf(() => emitAndHandle(client, count));
      rates.get(name)?.push(count / seconds);
    }
  }
  return rates;
}

/** Resolves when `count` events have been confirmed and handled. */
function emitAndHandle(client: Emitter, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let confirmed = 0;
    let handled = 0;
    const next = (): void => {
      if (confirmed === count && handled === count) return resolve();
      while (sent < count && sent - Math.min(confirmed, handled) < IN_FLIGHT) {
        sent++;
        client.emit('bench.event', EVENT).subscribe({ complete: onConfirmed, error: reject });
      }
      return undefined;
    };
    const onConfirmed = (): void => {
      confirmed++;
      next();
    };
    onHandled = () => {
      handled++;
      next();
    };
    next();
  });
}

async function listening(
  module: Type<unknown>,
  strategyOf: (app: INestApplication) => CustomTransportStrategy,
): Promise<INestApplication> {
  const app = await NestFactory.create(module, { logger: ['error', 'fatal'] });
  app.connectMicroservice({ strategy: strategyOf(app) });
  await app.startAllMicroservices();
  return app;
}

async function nullContestant(): Promise<Contestant> {
  const server = new NullServer();
  const app = await listening(NullModule, () => server);
  return { name: 'null', client: new NullClient(server), close: () => app.close() };
}

async function fileContestant(): Promise<Contestant> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-bench-'));
  @Module({
    imports: [QueueModule.forRoot({ url: `file:${directory}`, prefetchCount: PREFETCH })],
    controllers: [PlainHandler],
  })
  class FileModule {}
  const app = await listening(FileModule, (one) => one.get(QueueServer));
  return {
    name: 'nestmq file:',
    client: app.get(QueueClient),
    close: async () => {
      await app.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function rmqContestant(url: string): Promise<Contestant> {
  const options = { urls: [url], queue: 'bench', queueOptions: { durable: true }, persistent: true };
  const server = new ServerRMQ({ ...options, noAck: false, prefetchCount: PREFETCH });
  const app = await listening(RmqModule, () => server);
  const client = new ClientRMQ(options);
  await client.connect();
  return {
    name: 'Nest RMQ',
    client,
    close: async () => {
      await client.close();
      await app.close();
    },
  };
}
