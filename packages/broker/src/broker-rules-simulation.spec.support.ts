import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import type { Connection } from './connection.js';
import { BrokerError } from './errors.js';
import type { FieldTable, Message } from './message/message.js';
import type { Delivery } from './queue/delivery.js';
import { pick, pickOne, seededRandom } from './random.spec.support.js';
import {
  type Count,
  crash,
  failSoon,
  type Simulated,
  slowDown,
  soon,
  switchOff,
  turns,
} from './simulating.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

const DEAD = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
const LENGTH_MAX = 6;
const PRIORITY_MAX = 3;
const NARROW_MAX = 2;
/** Whatever these queues do with a message, it is in one of them, or held, until it is acked. */
const QUEUES: Readonly<Record<string, FieldTable>> = {
  work: { 'x-max-length': LENGTH_MAX, 'x-max-priority': PRIORITY_MAX, ...DEAD },
  brief: { 'x-message-ttl': 700, ...DEAD },
  retry: {
    'x-queue-type': 'quorum',
    'x-delivery-limit': 2,
    'x-delayed-retry-type': 'all',
    'x-delayed-retry-min': 400,
    ...DEAD,
  },
  sure: {
    'x-queue-type': 'quorum',
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
    'x-dead-letter-exchange': 'letters',
  },
  /** Takes the letters of the one before; it is full at times, and not bound at others. */
  narrow: { 'x-max-length': NARROW_MAX, 'x-overflow': 'reject-publish', ...DEAD },
  // The last: what is taken out of the others may bring something here.
  dead: {},
};
const LETTERS = ['narrow', 'letters', 'sure'] as const;
const DELAYING = { type: 'x-delayed-message', arguments: { 'x-delayed-type': 'direct' } } as const;
/** Reads of a slow disk come within this. */
const ROUNDS_MAX = 100;
/** Longer than anything waits, and often as long as a letter that may be sent again soon. Milliseconds. */
const ALL_IS_DUE_MS = 240_000;
const SEGMENT_BYTES = 64 * 1024;

/** What is known of one message. */
interface Known {
  /** Its publisher was told that it is durable. */
  isConfirmed: boolean;
  /** In doubt for ever, when the machine stopped before that was durable. */
  acked: 'no' | 'now' | 'in doubt' | 'durably';
  readonly notBefore: number;
  readonly priority: number;
}

/**
 * A random history of queues that expire, limit, delay, and give up messages, on a disk that fails and a machine that
 * stops at any moment. None is ever lost, nor in two places; none comes before its time; no queue is over its limit; and
 * the higher priority comes first.
 */
export async function simulateRules(seed: number): Promise<Simulated> {
  const random = seededRandom(seed);
  const machine = new RulesMachine(random);
  await machine.open();
  const operations = 30 + pick(random, 120);
  for (let left = operations; left > 0; left--) await machine.step();
  await machine.end();
  return machine.count;
}

class RulesMachine {
  readonly count: Count = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
  readonly #random: () => number;
  readonly #known = new Map<string, Known>();
  #disk = new SimulatedFileSystem();
  #clock = new ManualClock();
  #broker!: Broker;
  #connection!: Connection;
  #held: Delivery[] = [];
  #life = 0;

  constructor(random: () => number) {
    this.#random = random;
    this.#disk.random = random;
  }

  async open(): Promise<void> {
    this.#life++;
    this.#held = [];
    // Time does not go back when a machine starts again.
    this.#clock = new ManualClock(this.#clock.now());
    this.#broker = await soon(
      openBroker({
        directory: '/data',
        fileSystem: this.#disk,
        clock: this.#clock,
        segmentBytesMax: SEGMENT_BYTES,
        cacheBytesMax: pickOne(this.#random, [0, 4096]),
        settlementDelayMs: 0,
        diskFreeBytesMin: 0,
        onFailure: () => {},
      }),
      'opening',
    );
    this.#connection = this.#broker.connect();
    for (const [name, args] of Object.entries(QUEUES))
      await soon(this.#connection.declareQueue(name, { arguments: args }), 'declaring');
    await soon(this.#connection.declareExchange('later', DELAYING), 'declaring');
    for (const name of Object.keys(QUEUES)) {
      await soon(this.#connection.bindQueue(name, 'later', name), 'binding');
    }
    await soon(this.#connection.declareExchange('letters', { type: 'direct' }), 'declaring');
    await soon(this.#connection.bindQueue(...LETTERS), 'binding');
    if (this.#random() < 0.5) slowDown(this.#disk, this.#random);
  }

  async step(): Promise<void> {
    this.count.operations++;
    const random = this.#random;
    const choice = random();
    if (choice < (this.#broker.failure === undefined ? 0.02 : 0.15)) await this.#crash();
    else if (choice < 0.04) failSoon(this.#disk, random, this.count, { times: 1 + pick(random, 3) });
    else if (choice < 0.06) this.#rebind();
    else if (choice < 0.25) this.#clock.advance(pickOne(random, [10, 300, 300, 2000]));
    else if (choice < 0.35) this.#awaitDurable();
    else if (choice < 0.65) this.#publish();
    else if (choice < 0.8) await this.#get();
    else this.#settle();
    await turns(pick(random, 5), 1 + pick(random, 3));
    await this.#assertWithinLimit();
  }

  // ---------------------------------------------------------------- operations

  #publish(): void {
    const random = this.#random;
    const id = `m${this.#known.size + 1}`;
    const delay = random() < 0.3 ? 1 + pick(random, 3000) : 0;
    const priority = pick(random, PRIORITY_MAX + 1);
    const known: Known = {
      isConfirmed: false,
      acked: 'no',
      notBefore: this.#clock.now() + delay,
      priority,
    };
    this.#known.set(id, known);
    const life = this.#life;
    this.#attempt(() =>
      this.#connection.publish(messageOf(id, { delay, priority, random }), (error) => {
        // What a machine says that is off concerns nobody.
        if (error === undefined && life === this.#life) known.isConfirmed = true;
      }),
    );
  }

  #rebind(): void {
    const isBound = this.#random() < 0.5;
    const change = isBound
      ? this.#connection.bindQueue(...LETTERS)
      : this.#connection.unbindQueue(...LETTERS);
    change.catch(assertRefusal);
  }

  async #get(): Promise<void> {
    const queue = pickOne(this.#random, Object.keys(QUEUES));
    try {
      const delivery = await soon(this.#connection.get(queue), 'getting');
      if (delivery !== undefined) this.#take(delivery);
    } catch (error) {
      assertRefusal(error);
    }
  }

  #take(delivery: Delivery): void {
    const id = idOf(delivery.message);
    const { notBefore, acked } = this.#knownOf(id);
    if (this.#clock.now() < notBefore) throw new Error(`${id} comes before its time`);
    if (acked === 'durably') throw new Error(`${id} was acked, and comes again`);
    this.#held.push(delivery);
  }

  #settle(): void {
    const delivery = this.#held.splice(pick(this.#random, this.#held.length), 1)[0];
    if (delivery === undefined) return;
    const how = this.#random();
    // Who is given up in the last of the queues is gone.
    if (how < 0.5 && delivery.queue.name !== 'dead') delivery.discard();
    else if (how < 0.85) delivery.requeue({ failed: this.#random() < 0.5 });
    else {
      this.#knownOf(idOf(delivery.message)).acked = 'now';
      delivery.ack();
    }
  }

  #awaitDurable(): void {
    const acked = [...this.#known.values()].filter((one) => one.acked === 'now');
    const life = this.#life;
    this.#connection.durable().then(
      () => {
        if (life === this.#life) for (const one of acked) if (one.acked === 'now') one.acked = 'durably';
        return undefined;
      },
      (error: unknown) => assertRefusal(error),
    );
  }

  #attempt(operation: () => unknown): void {
    try {
      operation();
    } catch (error) {
      assertRefusal(error);
    }
  }

  #knownOf(id: string): Known {
    const known = this.#known.get(id);
    if (known === undefined) throw new Error(`${id} was never published`);
    return known;
  }

  /** Its oldest message may have to come from the disk before it can go. */
  async #assertWithinLimit(): Promise<void> {
    for (let rounds = 0; ; rounds++) {
      const { messageCount, readFailure } = this.#connection.checkQueue('work');
      if (messageCount <= LENGTH_MAX || readFailure !== undefined) return;
      if (rounds === ROUNDS_MAX) throw new Error(`'work' has ${messageCount} messages`);
      await turns(0, 1);
    }
  }

  // ---------------------------------------------------------------- ends

  async #crash(): Promise<void> {
    this.count.crashes++;
    const { left } = crash(this.#disk, this.#random);
    switchOff(this.#disk);
    this.#broker.close().catch(() => {});
    for (const one of this.#known.values()) if (one.acked === 'now') one.acked = 'in doubt';
    this.#disk = left;
    await this.open();
  }

  /** After a last crash, and when all is due, everything is where it should be. */
  async end(): Promise<void> {
    await this.#crash();
    this.#disk.wait = undefined;
    const found = new Map<string, string>();
    // Where there is room now, more may come.
    for (let before = -1; before < found.size;) {
      before = found.size;
      await this.#settleDown();
      await this.#findAll(found);
    }
    for (const [id, { isConfirmed, acked }] of this.#known) {
      if (isConfirmed && acked === 'no' && !found.has(id)) throw new Error(`${id} is lost`);
      if (acked === 'durably' && found.has(id))
        throw new Error(`${id} was acked, and is in '${found.get(id)}'`);
    }
    await soon(this.#broker.close(), 'closing');
  }

  async #findAll(found: Map<string, string>): Promise<void> {
    for (const queue of Object.keys(QUEUES)) {
      let priority = Infinity;
      for (const message of await this.#drain(queue)) {
        const id = idOf(message);
        const before = found.get(id);
        if (before !== undefined) throw new Error(`${id} is in '${before}' and in '${queue}'`);
        found.set(id, queue);
        const known = this.#knownOf(id);
        if (queue === 'work' && known.priority > priority)
          throw new Error(`${id} comes after a lower priority`);
        priority = known.priority;
      }
    }
  }

  async #settleDown(): Promise<void> {
    for (let step = 0; step < 30; step++) {
      this.#clock.advance(ALL_IS_DUE_MS / 30);
      await turns(0, 8);
    }
  }

  async #drain(queue: string): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const delivery = await soon(this.#connection.get(queue, { noAck: true }), 'getting');
      if (delivery === undefined) return messages;
      messages.push(delivery.message);
    }
  }
}

function messageOf(
  id: string,
  {
    delay,
    priority,
    random,
  }: { readonly delay: number; readonly priority: number; readonly random: () => number },
): Message {
  const expiration = random() < 0.3 ? { expiration: String(pick(random, 2000)) } : {};
  const headers = delay === 0 ? {} : { headers: { 'x-delay': delay } };
  return {
    exchange: delay === 0 ? '' : 'later',
    routingKey: pickOne(random, ['work', 'work', 'brief', 'retry', 'sure']),
    properties: { deliveryMode: 2, messageId: id, priority, ...expiration, ...headers },
    body: Buffer.alloc(Math.floor(random() ** 3 * 8192), id),
  };
}

function idOf({ properties }: Message): string {
  return properties.messageId ?? '?';
}

function assertRefusal(error: unknown): void {
  if (!(error instanceof BrokerError && ['STORE_FAILED', 'BLOCKED', 'CLOSED'].includes(error.code)))
    throw error;
}
