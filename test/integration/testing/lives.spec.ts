import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, type Type } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test, type TestingModule, type TestingModuleBuilder } from '@nestjs/testing';
import { type HarnessOptions, QueueTestHarness, TestBroker } from '@nestmq/testing';
import { QueueClient, QueueModule, QueueServer } from '@nestmq/transport';
import { connect } from 'amqplib';

const ignore = (): void => {};
let onPlaced: (id: number, client: QueueClient) => Promise<void> | void;

@Controller()
class Orders {
  constructor(private readonly client: QueueClient) {}
  @EventPattern<string>('order.placed')
  placed(@Payload() id: number): Promise<void> | void {
    return onPlaced(id, this.client);
  }
  @EventPattern<string>('order.late')
  late(): void {}
  @MessagePattern('total')
  total(): number {
    return 1;
  }
}

/** Says goodbye by an event, and waits until that is on the disk. */
@Injectable()
class Goodbye {
  constructor(private readonly client: QueueClient) {}
  onModuleDestroy(): Promise<void> {
    return emitted(this.client, 'order.late', 'goodbye');
  }
}

function emitted(client: QueueClient, pattern: string, data: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    client.emit(pattern, data).subscribe({ complete: resolve, error: reject });
  });
}

const builder = (providers: Type[] = []): TestingModuleBuilder =>
  Test.createTestingModule({
    imports: [QueueModule.forRoot({ url: 'file:./data', queue: 'orders' })],
    controllers: [Orders],
    providers,
  }).setLogger({ log: ignore, warn: ignore, error: ignore });

let harness: QueueTestHarness;
async function start(options: HarnessOptions<TestingModule> = {}, providers: Type[] = []): Promise<void> {
  harness = await QueueTestHarness.start(() => builder(providers), options);
}
beforeEach(() => {
  onPlaced = ignore;
});
afterEach(() => harness.close());

/** The broker of a harness that does not start. */
async function brokerOf(starting: () => Promise<unknown>): Promise<TestBroker> {
  const original = TestBroker.start.bind(TestBroker);
  let made: TestBroker | undefined;
  TestBroker.start = async (options) => (made = await original(options));
  try {
    await starting();
  } finally {
    TestBroker.start = original;
  }
  return made as TestBroker;
}

describe('a start that fails', () => {
  it('leaves no broker open, also when the application had begun', async () => {
    await start();
    const startApplication = async (module: TestingModule): Promise<never> => {
      const app = module.createNestApplication();
      app.connectMicroservice({ strategy: app.get(QueueServer) });
      await app.startAllMicroservices();
      throw new Error('the port is in use');
    };
    const broker = await brokerOf(() =>
      expect(QueueTestHarness.start(builder(), { listen: true, startApplication })).rejects.toThrow(
        'the port is in use',
      ),
    );
    expect(broker.engine.isClosed).toBe(true);
    await expect(connect(broker.amqpUrl)).rejects.toThrow('ECONNREFUSED');
  });

  it('says that there is no QueueModule', async () => {
    await start();
    const other = Test.createTestingModule({ providers: [] });
    await expect(QueueTestHarness.start(other)).rejects.toThrow(
      'import QueueModule.forRoot(options) into it',
    );
  });
});

describe('close', () => {
  it('comes to an end by a manual clock, though a handler does not', async () => {
    await start({ clock: 'manual' });
    onPlaced = () => new Promise(ignore);
    await harness.emit('order.placed', 1);
    await harness.advance(0);
    await harness.close();
    expect(harness.broker.engine.isClosed).toBe(true);
  });

  it('comes to an end though the disk is full', async () => {
    await start({}, [Goodbye]);
    harness.full();
    await harness.close();
    expect(harness.published('order.late').all).toMatchObject([{ outcome: 'confirmed' }]);
  });

  it('is the end: what is emitted after it goes nowhere, and says so', async () => {
    await start();
    await harness.close();
    await expect(harness.emit('order.placed', 1)).rejects.toThrow('The application under test is closed.');
    await expect(harness.send('total', 1)).rejects.toThrow('The application under test is closed.');
  });

  it('can be followed by a restart, and that by another close', async () => {
    await start({ listen: true });
    await harness.close();
    await harness.restart();
    await harness.emit('order.placed', 1);
    await harness.consumed('order.placed');
    await harness.close();
    expect(harness.broker.engine.isClosed).toBe(true);
  });
});

describe('emit', () => {
  it('passes on what the client refuses, and what can not be planned to fail is refused at once', async () => {
    await start();
    await expect(harness.emit('order.placed', null)).rejects.toThrow('invalid data or message pattern');
    expect(() => harness.failNext(7 as unknown as string, new Error('no'))).toThrow(
      'The pattern is no string',
    );
    expect(() => harness.failNext('order.placed', new Error('no'), 0)).toThrow("'times' is 0.");
    expect(() => harness.duplicateNext('order.placed', Number.NaN)).toThrow("'times' is NaN.");
  });
});

describe('restart', () => {
  it('by a manual clock does not wait for a handler for ever, and its message comes again', async () => {
    await start({ clock: 'manual' });
    onPlaced = () => new Promise(ignore);
    await harness.emit('order.placed', 1);
    await harness.advance(0);
    onPlaced = ignore;
    await harness.restart();
    await harness.idle();
    expect(harness.consumed('order.placed').count).toBe(1);
  });
});

describe('a crash', () => {
  it('tells nobody that a message is kept which is not: at whatever moment', async () => {
    await start();
    const handled = new Set<number>();
    onPlaced = (id) => void handled.add(id);
    const kept: number[] = [];
    let next = 0;
    for (let turns = 0; turns < 12; turns++) {
      for (let i = 0; i < 5; i++) {
        const id = next++;
        void harness.emit('order.placed', id).then(() => kept.push(id), ignore);
      }
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      await harness.crash();
      await harness.restart();
      await harness.idle();
      expect(kept.filter((id) => !handled.has(id))).toEqual([]);
    }
    expect(kept.length).toBeGreaterThan(0);
  });

  it('rejects what the test awaits of the application, and need not be caught', async () => {
    await start();
    harness.delayConfirms();
    const emit = harness.emit('order.late', 1);
    void harness.emit('order.late', 2);
    await harness.published('order.late').times(2);
    await harness.crash();
    await expect(emit).rejects.toThrow('The application was killed, by crash()');
    expect(() => harness.emit('order.late', 3)).toThrow('restart() it');
  });

  it('lets code of the life before put nothing into the next one', async () => {
    await start();
    let goOn!: () => void;
    let onIn!: () => void;
    const isIn = new Promise<void>((resolve) => {
      onIn = resolve;
    });
    let client!: QueueClient;
    onPlaced = (_id, own) => {
      client = own;
      onIn();
      return new Promise<void>((resolve) => {
        goOn = resolve;
      }).then(() => emitted(own, 'order.late', 'from the grave'));
    };
    await harness.emit('order.placed', 1);
    await isIn;
    await harness.crash();
    onPlaced = ignore;
    await harness.restart();
    goOn();
    void emitted(client, 'order.late', 'from the grave');
    await harness.consumed('order.placed');
    await harness.idle();
    expect(harness.published('order.late').count).toBe(0);
    expect(harness.consumed('order.late').count).toBe(0);
  });

  it('ends also when a shutdown hook waits for what never comes', async () => {
    @Injectable()
    class Stuck {
      onModuleDestroy(): Promise<void> {
        return new Promise(ignore);
      }
    }
    await start({}, [Stuck]);
    await harness.crash();
    expect(harness.broker.engine.isClosed).toBe(true);
  });
});
