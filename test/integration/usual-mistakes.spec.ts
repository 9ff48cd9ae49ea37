import { describe, expect, it, jest } from '@jest/globals';
import { Controller, Injectable, Logger, type Type } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { TestBroker } from '@nestmq/testing';
import { QueueAdmin, QueueModule, QueueServer, Retry, Schedule } from '@nestmq/transport';
import { startApp } from './app.js';

class Billing {
  @EventPattern('order.placed')
  charge(_order: unknown): void {}
}

/** What is warned of while `work` runs. */
async function warnings(work: () => Promise<void>): Promise<string[]> {
  const warned: string[] = [];
  const spy = jest.spyOn(Logger.prototype, 'warn').mockImplementation((text: unknown) => {
    warned.push(String(text));
  });
  await work();
  spy.mockRestore();
  return warned;
}

function decorated(by: ClassDecorator): Type {
  class Decorated extends Billing {}
  by(Decorated);
  return Decorated;
}

describe('a usual mistake is told', () => {
  it('a handler in a provider, which Nest never calls', async () => {
    const broker = await TestBroker.start();
    const warned = await warnings(async () => {
      const { app } = await startApp({ url: broker.url }, { providers: [decorated(Injectable())] });
      await app.close();
    });
    expect(warned).toEqual([
      "Decorated.charge handles messages, but Decorated is a provider, and Nest calls handlers of controllers only. Make it a @Controller() and list it under 'controllers'.",
    ]);
    await broker.stop();
  });

  it('nothing, of a controller that is a provider as well', async () => {
    const broker = await TestBroker.start();
    const both = decorated(Controller());
    const warned = await warnings(async () => {
      const { app } = await startApp({ url: broker.url }, { controllers: [both], providers: [both] });
      await app.close();
    });
    expect(warned).toEqual([]);
    await broker.stop();
  });

  it('a policy without a pattern, which nobody ever calls', async () => {
    class Nightly {
      @Schedule('0 6 * * *')
      run(): void {}
    }
    Injectable()(Nightly);
    class Retrying {
      @Retry({ attempts: 2 })
      run(): void {}
    }
    Controller()(Retrying);
    const start = (metadata: { providers?: Type[]; controllers?: Type[] }): Promise<unknown> =>
      startApp({ url: 'memory:no-pattern' }, metadata);
    await expect(start({ providers: [Nightly] })).rejects.toThrow(
      "A decorator gives Nightly.run 'schedule', but no pattern, so that it would never be called. Give it an @EventPattern('…') as well",
    );
    await expect(start({ controllers: [Retrying] })).rejects.toThrow(
      "A decorator gives Retrying.run 'retry'",
    );
  });

  it('an application whose handlers nobody has started, after ten seconds', async () => {
    const broker = await TestBroker.start({ clock: 'manual' });
    const testing = await Test.createTestingModule({
      imports: [QueueModule.forRoot({ ...broker.queueOptions, queue: 'billing' })],
      controllers: [decorated(Controller())],
    }).compile();
    const app = testing.createNestApplication({ logger: false });
    app.connectMicroservice({ strategy: app.get(QueueServer) });
    await app.init();
    const warned = await warnings(() => broker.advance('10s'));
    expect(warned).toEqual([
      "Handlers get no messages yet, which wait in 'billing': nobody has called app.startAllMicroservices() (or listen(), of a microservice).",
    ]);
    await app.close();
    await broker.stop();
  });

  it('nothing, of one that only sends while another handles', async () => {
    const broker = await TestBroker.start({ clock: 'manual' });
    const options = { ...broker.queueOptions, queue: 'billing' };
    const controllers = [decorated(Controller())];
    const { app: worker } = await startApp(options, { controllers });
    const imports = [QueueModule.forRoot(options)];
    const testing = await Test.createTestingModule({ imports, controllers }).compile();
    const app = testing.createNestApplication({ logger: false });
    await app.init();
    expect(await warnings(() => broker.advance('10s'))).toEqual([]);
    await app.close();
    await worker.close();
    await broker.stop();
  });

  it('nothing, of one that was started in time, or closed', async () => {
    const broker = await TestBroker.start({ clock: 'manual' });
    const warned = await warnings(async () => {
      const controllers = [decorated(Controller())];
      const { app } = await startApp({ ...broker.queueOptions, queue: 'billing' }, { controllers });
      await broker.advance('10s');
      await app.close();
      await broker.advance('10s');
    });
    expect(warned).toEqual([]);
    await broker.stop();
  });

  it('dead letters of a queue that is not there', async () => {
    const broker = await TestBroker.start();
    const { app } = await startApp(
      { url: broker.url, queue: 'billing' },
      { controllers: [decorated(Controller())] },
    );
    const admin = app.get(QueueAdmin);
    await expect(admin.deadLetters('biling').redrive()).rejects.toThrow(
      "There is no queue 'biling'. This service has: billing, billing.dead.",
    );
    await expect(admin.deadLetters('biling').list()).rejects.toThrow("There is no queue 'biling'");
    expect(await admin.deadLetters('billing').list()).toEqual([]);
    await app.close();
    await broker.stop();
  });
});
