import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { QueueClient, QueueModule, type QueueOptions, QueueServer } from '@nestmq/transport';

export interface StartedApp {
  readonly app: INestApplication;
  readonly client: QueueClient;
  readonly server: QueueServer;
}

/** A hybrid application with a QueueModule, listening. */
export async function startApp(options: QueueOptions, metadata: ModuleMetadata): Promise<StartedApp> {
  const testing = await Test.createTestingModule({
    ...metadata,
    imports: [QueueModule.forRoot(options), ...(metadata.imports ?? [])],
  })
    .setLogger(false as never)
    .compile();
  const app = testing.createNestApplication({ logger: false });
  const server = app.get(QueueServer);
  app.connectMicroservice({ strategy: server }, { inheritAppConfig: true });
  await app.init();
  await app.startAllMicroservices();
  return { app, server, client: app.get(QueueClient) };
}

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'nestmq-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Collects what handlers report; `until` resolves when there is enough. */
export class Collector<T> {
  readonly items: T[] = [];
  #waiting: { count: number; resolve: (items: T[]) => void }[] = [];

  add(item: T): void {
    this.items.push(item);
    for (const { resolve } of this.#waiting.filter(({ count }) => count <= this.items.length))
      resolve(this.items);
    this.#waiting = this.#waiting.filter(({ count }) => count > this.items.length);
  }

  until(count: number): Promise<T[]> {
    if (this.items.length >= count) return Promise.resolve(this.items);
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve });
    });
  }
}
