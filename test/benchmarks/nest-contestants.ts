import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, type INestApplication, Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientRMQ,
  type CustomTransportStrategy,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  RmqContext,
  ServerRMQ,
} from '@nestjs/microservices';
import { QueueClient, QueueModule, type QueueOptions, QueueServer } from '@nestmq/transport';
import type { Observable } from 'rxjs';
import { NullClient, NullServer } from './null-transport.js';

const PREFETCH = 500;

/** What every handler of an event does. */
export const handled = {
  do(): void {
    // Until somebody counts.
  },
};

/** Handlers of a pattern of their own: on one broker, each event is for one contestant. */
function plainHandler(name: string): Type<unknown> {
  @Controller()
  class PlainHandler {
    @EventPattern(eventOf(name))
    handle(@Payload() _data: unknown): void {
      handled.do();
    }
    @MessagePattern(requestOf(name))
    answer(@Payload() data: unknown): unknown {
      return data;
    }
  }
  return PlainHandler;
}

const eventOf = (name: string): string => `event of ${name}`;
const requestOf = (name: string): string => `request of ${name}`;

function ack(context: RmqContext): void {
  (context.getChannelRef() as { ack: (message: unknown) => void }).ack(context.getMessage());
}

/** Nest's RMQ transport settles nothing by itself. */
function ackingHandler(name: string): Type<unknown> {
  @Controller()
  class AckingHandler {
    @EventPattern<string>(eventOf(name))
    handle(@Payload() _data: unknown, @Ctx() context: RmqContext): void {
      ack(context);
      handled.do();
    }
    @MessagePattern<string>(requestOf(name))
    answer(@Payload() data: unknown, @Ctx() context: RmqContext): unknown {
      ack(context);
      return data;
    }
  }
  return AckingHandler;
}

/** A Nest application with a client of its own, both in this process. */
export interface Contestant {
  readonly name: string;
  emit(data: unknown): Observable<unknown>;
  send(data: unknown): Observable<unknown>;
  close(): Promise<void>;
}

function contestant(
  name: string,
  client: Pick<ClientProxy, 'emit' | 'send'>,
  close: () => Promise<void>,
): Contestant {
  const [event, request] = [eventOf(name), requestOf(name)];
  return {
    name,
    emit: (data) => client.emit(event, data),
    send: (data) => client.send(request, data),
    close,
  };
}

async function listening(
  metadata: ModuleMetadata,
  strategyOf: (app: INestApplication) => CustomTransportStrategy,
): Promise<INestApplication> {
  @Module(metadata)
  class BenchModule {}
  const app = await NestFactory.create(BenchModule, { logger: ['error', 'fatal'] });
  app.connectMicroservice({ strategy: strategyOf(app) });
  await app.startAllMicroservices();
  return app;
}

/** Nest's own part: handlers are called directly. Takes events only. */
export async function nullContestant(): Promise<Contestant> {
  const server = new NullServer();
  const app = await listening({ controllers: [plainHandler('null')] }, () => server);
  return contestant('null', new NullClient(server), () => app.close());
}

export async function fileContestant(): Promise<Contestant> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-bench-'));
  const one = await queueContestant('nestmq file:', { url: `file:${directory}` });
  const close = async (): Promise<void> => {
    await one.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { ...one, close };
}

/** Our transport, wherever the URL leads. */
export async function queueContestant(name: string, options: QueueOptions): Promise<Contestant> {
  const imports = [QueueModule.forRoot({ prefetchCount: PREFETCH, ...options })];
  const app = await listening({ imports, controllers: [plainHandler(name)] }, (one) => one.get(QueueServer));
  const client = app.get(QueueClient);
  await client.connect();
  return contestant(name, client, () => app.close());
}

/** Nest's RMQ transport: a durable queue, persistent messages, manual acks. */
export async function rmqContestant(name: string, url: string): Promise<Contestant> {
  const options = { urls: [url], queue: 'bench-rmq', queueOptions: { durable: true }, persistent: true };
  const server = new ServerRMQ({ ...options, noAck: false, prefetchCount: PREFETCH });
  const app = await listening({ controllers: [ackingHandler(name)] }, () => server);
  const client = new ClientRMQ(options);
  await client.connect();
  return contestant(name, client, async () => {
    await client.close();
    await app.close();
  });
}
