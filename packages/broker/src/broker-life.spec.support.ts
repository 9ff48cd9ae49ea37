import { Definer } from './broker-definer.spec.support.js';
import { ALIVE, checkDelivery, fail, nameOf } from './broker-expectation.spec.support.js';
import { QUEUES, readyCount } from './broker-inspection.spec.support.js';
import { idOf, type ModelMessage, type ModelQueue } from './broker-model.spec.support.js';
import type { Connection } from './connection.js';
import type { Message } from './message/message.js';
import type { Consumer } from './queue/consumer.js';
import type { Delivery } from './queue/delivery.js';

export interface LivingConsumer {
  readonly connection: Connection;
  readonly queue: ModelQueue;
  readonly prefetchCount: number;
  readonly noAck: boolean;
  readonly tag: string;
  consumer: Consumer | undefined;
  cancelled: boolean;
}

/** A delivery that is not settled, and what the model knows of it. */
export interface Held {
  readonly by: LivingConsumer;
  readonly delivery: Delivery;
  readonly one: ModelMessage;
  /** {@link Life.count} was called for it. */
  isCounted: boolean;
}

/**
 * An engine from its opening to its end. Whatever is done is done to it and to the model, and what the one answers is
 * compared with what the other knows.
 */
export class Life extends Definer {
  readonly connections: Connection[] = [];
  consumers: LivingConsumer[] = [];
  held: Held[] = [];
  #tags = 0;

  // ---------------------------------------------------------------- messages

  publish(connection: Connection, message: Message): void {
    const queues = this.model.route(message.exchange, message.routingKey);
    const step = this.model.steps.begin();
    const to = queues?.map(({ name }) => name).join(', ') ?? 'nobody';
    const kind = message.properties.deliveryMode === 2 ? '' : 'transient ';
    this.trace(
      `publish ${kind}${idOf(message)} (${message.body.length} bytes) to '${message.exchange}' by '${message.routingKey}': ${to}`,
    );
    const outcome = this.attempt(() => connection.publish(message, (error) => this.told(step, error)));
    if (outcome === 'refused') return;
    this.#assertRouted(outcome, queues, message);
    this.model.add(queues ?? [], message, step);
  }

  forward(connection: Connection, held: Held, envelope: Omit<Message, 'body'>): void {
    const { delivery, one } = held;
    const queues = this.model.route(envelope.exchange, envelope.routingKey);
    const to = queues?.map(({ name }) => name).join(', ') ?? 'nobody';
    this.trace(`forward ${nameOf(one)} as ${idOf(envelope)} to ${to}`);
    const outcome = this.attempt(() => connection.forward(delivery, envelope));
    if (outcome === 'refused') return;
    this.#assertRouted(outcome, queues, envelope);
    if (outcome !== 'routed') return;
    this.#letGo(held);
    const step = this.model.steps.begin();
    const moved = this.model.add(queues ?? [], { ...envelope, body: one.message.body }, step);
    if (one.removed !== undefined) return;
    one.removed = step;
    one.movedTo = moved;
  }

  protected override removed(queue: ModelQueue, step: number): void {
    this.model.removeQueue(queue, step);
    for (const one of this.consumers) if (one.queue === queue) one.cancelled = true;
    this.consumers = this.consumers.filter(({ cancelled }) => !cancelled);
  }

  #assertRouted(
    outcome: string,
    queues: readonly ModelQueue[] | undefined,
    message: Pick<Message, 'properties'>,
  ): void {
    const expected = queues === undefined ? 'no exchange' : queues.length > 0 ? 'routed' : 'unroutable';
    if (outcome !== expected) fail(`${idOf(message)} is ${outcome}, not ${expected}`);
  }

  #letGo(held: Held): void {
    this.held = this.held.filter((other) => other !== held);
  }

  ack(held: Held, how: 'ack' | 'discard'): void {
    this.trace(`${how} ${nameOf(held.one)}`);
    this.#letGo(held);
    held.one.removed ??= this.model.steps.begin();
    if (!held.delivery[how]()) fail(`${nameOf(held.one)} was settled before`);
    if (held.delivery.requeue({ failed: true })) fail(`${nameOf(held.one)} is settled twice`);
  }

  requeue(held: Held, failed: boolean): void {
    this.trace(`requeue ${nameOf(held.one)}${failed ? ' as failed' : ''}`);
    this.#letGo(held);
    this.model.requeue(held.one, failed, held.isCounted);
    if (!held.delivery.requeue({ failed })) fail(`${nameOf(held.one)} was settled before`);
    if (held.delivery.ack()) fail(`${nameOf(held.one)} is settled twice`);
  }

  count(held: Held): void {
    this.trace(`count ${nameOf(held.one)}`);
    if (!held.isCounted) this.model.count(held.one, 1);
    held.isCounted = true;
    held.delivery.count();
    checkDelivery(held.one, held.delivery, { ...ALIVE, isRedelivered: () => held.delivery.redelivered });
  }

  // ---------------------------------------------------------------- consumers and connections

  consume(
    connection: Connection,
    queue: ModelQueue,
    init: Pick<LivingConsumer, 'prefetchCount' | 'noAck'>,
  ): void {
    const tag = `c${++this.#tags}`;
    this.trace(
      `consume '${queue.name}' as ${tag}, prefetch ${init.prefetchCount}${init.noAck ? ', no ack' : ''}`,
    );
    const by: LivingConsumer = { ...init, connection, queue, tag, consumer: undefined, cancelled: false };
    by.consumer = connection.consume(queue.name, {
      ...init,
      consumerTag: tag,
      onDelivery: (delivery) => this.carefully(() => this.#deliver(by, delivery)),
    });
    this.consumers.push(by);
  }

  /** A queue hands out what is first in it, to a consumer that may have more, and tells the truth about it. */
  #deliver(by: LivingConsumer, delivery: Delivery): void {
    const { queue, prefetchCount, noAck, tag } = by;
    const id = idOf(delivery.message);
    const first = queue.firstReady;
    this.trace(`  ${tag} gets ${id} from '${queue.name}'`);
    if (by.cancelled) fail(`${tag} gets ${id}, though it is cancelled`);
    if (first === undefined) fail(`${tag} gets ${id}, though '${queue.name}' has nothing ready`);
    if (id !== idOf(first.message)) fail(`${tag} gets ${id}, though ${nameOf(first)} is first`);
    checkDelivery(first, delivery, ALIVE);
    const count = this.held.filter((held) => held.by === by).length;
    if (prefetchCount > 0 && count >= prefetchCount) fail(`${tag} has ${count} messages and gets ${id}`);
    first.ready = false;
    first.deliveredBefore = true;
    if (noAck) first.removed = this.model.steps.begin();
    else this.held.push({ by, delivery, one: first, isCounted: false });
  }

  cancel(by: LivingConsumer): void {
    this.trace(`cancel ${by.tag}`);
    by.connection.cancel(by.consumer as Consumer);
    this.#cancelled(by);
  }

  #cancelled(by: LivingConsumer): void {
    by.cancelled = true;
    this.consumers = this.consumers.filter((other) => other !== by);
    const { queue } = by;
    if (!queue.autoDelete || queue.removed !== undefined || this.consumers.some((one) => one.queue === queue))
      return;
    // With a failed store it stays.
    if (!this.hasFailed) this.removed(queue, this.model.steps.begin());
  }

  connect(): Connection {
    const connection = this.broker.connect();
    this.connections.push(connection);
    return connection;
  }

  close(connection: Connection): void {
    this.trace('close a connection');
    connection.close();
    this.connections.splice(this.connections.indexOf(connection), 1);
    for (const by of this.consumers.filter((one) => one.connection === connection)) this.#cancelled(by);
    for (const { by, one, isCounted } of this.held)
      if (by.connection === connection) this.model.requeue(one, false, isCounted);
    this.held = this.held.filter(({ by }) => by.connection !== connection);
  }

  closeAll(): void {
    for (const connection of this.connections.slice()) this.close(connection);
  }

  /** What the engine says of its queues is what the model has. */
  checkCounts(): void {
    const connection = this.broker.connect();
    for (const name of QUEUES) {
      const queue = this.model.queue(name);
      const count = readyCount(connection, name);
      if (queue === undefined) {
        if (count !== undefined) fail(`the queue '${name}' is there, though it should not be`);
        continue;
      }
      if (count === undefined) fail(`the queue '${name}' is gone`);
      const { messageCount, unsettledCount, consumerCount } = connection.checkQueue(name);
      const actual = [messageCount, unsettledCount, consumerCount].join(', ');
      const consumers = this.consumers.filter((one) => one.queue === queue).length;
      const expected = [queue.ready.length, queue.unsettled.length, consumers].join(', ');
      if (actual !== expected)
        fail(`'${name}' says it has (ready, unsettled, consumers) ${actual}, not ${expected}`);
    }
    connection.close();
  }
}
