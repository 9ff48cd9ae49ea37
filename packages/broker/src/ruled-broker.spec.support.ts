import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import type { Connection } from './connection.js';
import { idle } from './engine.spec.support.js';
import type { FieldTable, Message } from './message/message.js';
import type { BrokerOptions } from './options.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

/** A broker by a manual clock, in memory or on a simulated disk, and what is in its queues. */
export class RuledBroker {
  clock: ManualClock = new ManualClock();
  disk: SimulatedFileSystem = new SimulatedFileSystem();
  broker!: Broker;
  connection!: Connection;
  readonly #options: BrokerOptions;

  constructor(options: BrokerOptions = {}) {
    this.#options = options;
  }

  async start(fileSystem?: SimulatedFileSystem): Promise<void> {
    const onDisk = fileSystem === undefined ? {} : { fileSystem, directory: '/data', settlementDelayMs: 0 };
    const { clock } = this;
    this.broker = await openBroker({ clock, onFailure: () => {}, ...onDisk, ...this.#options });
    this.connection = this.broker.connect();
  }

  async fresh({ durable = false }: { readonly durable?: boolean } = {}): Promise<void> {
    this.clock = new ManualClock();
    this.disk = new SimulatedFileSystem();
    await this.start(durable ? this.disk : undefined);
  }

  /** As after a power cut, once all is durable. Nobody runs for so long. */
  async restart({ afterMs = 0 }: { readonly afterMs?: number } = {}): Promise<void> {
    await this.connection.durable();
    await this.broker.close();
    if (afterMs > 0) this.clock.advance(afterMs);
    await this.start(this.disk);
  }

  async declare(name: string, args: FieldTable = {}): Promise<void> {
    await this.connection.declareQueue(name, { arguments: args });
  }

  /** What is ready in the queue, taken out. */
  async drain(queue: string): Promise<string[]> {
    return (await this.take(queue)).map(({ body }) => body.toString());
  }

  async take(queue: string): Promise<Message[]> {
    await idle();
    const messages: Message[] = [];
    for (;;) {
      const delivery = await this.connection.get(queue, { noAck: true });
      if (delivery === undefined) return messages;
      messages.push(delivery.message);
    }
  }

  count(queue: string): number {
    return this.connection.checkQueue(queue).messageCount;
  }
}

export const TO_DEAD: FieldTable = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
