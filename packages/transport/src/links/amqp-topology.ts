import { randomUUID } from 'node:crypto';
import type { FieldTable } from '@nestmq/broker';
import type { Channel } from 'amqplib';
import { type AmqpError, amqpError } from './amqp-errors.js';
import { toAmqplib } from './amqp-fields.js';
import { type AmqpSession, closeChannel } from './amqp-session.js';
import type { DelayTopology } from './amqp-delays.js';
import { declareGivenUp, type GivenUpTopology, LETTERS_EXCHANGE } from './given-up.js';
import { driftOf } from './topology-drift.js';

interface Binding {
  readonly queue: string;
  readonly exchange: string;
  readonly key: string;
}

const keyOf = ({ queue, exchange, key }: Binding): string => JSON.stringify([queue, exchange, key]);

/** Works on a channel of its own, which the broker closes when it refuses something. Rejects with AmqpError. */
export async function onChannel<T>(session: AmqpSession, work: (channel: Channel) => Promise<T>): Promise<T> {
  let channel: Channel;
  try {
    channel = await session.openChannel();
  } catch (error) {
    throw amqpError(error);
  }
  // The promise of what was refused says so, too.
  channel.on('error', () => {});
  let result: T;
  try {
    result = await work(channel);
  } catch (error) {
    throw amqpError(error);
  }
  await closeChannel(channel);
  return result;
}

/** What a link has declared, so that it can be declared again. */
export class AmqpTopology {
  readonly #exchanges = new Set<string>();
  readonly #queues = new Map<string, FieldTable>();
  readonly #bindings = new Map<string, Binding>();
  /** Names of own queues: those given to callers, and those of now. */
  readonly #own = new Map<string, string>();
  readonly #queueType: 'quorum' | 'classic';
  /** Where the exchanges for what a broker gives up are declared. */
  readonly #givenUp = new WeakMap<AmqpSession, Promise<void>>();

  constructor(queueType: 'quorum' | 'classic') {
    this.#queueType = queueType;
  }

  /** The name of now. */
  nameOf(queue: string): string {
    return this.#own.get(queue) ?? queue;
  }

  async declareExchange(session: AmqpSession, name: string): Promise<void> {
    this.#exchanges.add(name);
    await onChannel(session, (channel) => channel.assertExchange(name, 'topic', { durable: true }));
  }

  async declareQueue(session: AmqpSession, name: string, args: FieldTable): Promise<void> {
    this.#queues.set(name, args);
    await this.#declareQueue(session, name, args);
  }

  /** Each may be where dead letters go: who names it may not know when it is made anew. */
  async #declareQueue(session: AmqpSession, name: string, args: FieldTable): Promise<void> {
    await this.#declareGivenUp(session);
    let drift: Error | undefined;
    try {
      await declareQueue(session, name, args);
    } catch (error) {
      if (driftOf('queue', name, error) === undefined) throw error;
      drift = error as Error;
    }
    await onChannel(session, (channel) => channel.bindQueue(name, LETTERS_EXCHANGE, name));
    if (drift !== undefined) throw drift;
  }

  async #declareGivenUp(session: AmqpSession): Promise<void> {
    let declared = this.#givenUp.get(session);
    if (declared === undefined) {
      declared = declareGivenUp(givenUpTopologyOf(session, this.#queueType));
      this.#givenUp.set(session, declared);
    }
    try {
      await declared;
    } catch (error) {
      this.#givenUp.delete(session);
      throw error;
    }
  }

  async declareOwnQueue(session: AmqpSession): Promise<string> {
    const name = ownName();
    await declareOwn(session, name);
    this.#own.set(name, name);
    return name;
  }

  async bind(session: AmqpSession, queue: string, exchange: string, key: string): Promise<void> {
    const binding = { queue, exchange, key };
    await onChannel(session, (channel) => channel.bindQueue(this.nameOf(queue), exchange, key));
    this.#bindings.set(keyOf(binding), binding);
  }

  async unbind(session: AmqpSession, queue: string, exchange: string, key: string): Promise<void> {
    this.#bindings.delete(keyOf({ queue, exchange, key }));
    await onChannel(session, (channel) => channel.unbindQueue(this.nameOf(queue), exchange, key));
  }

  forgetQueue(queue: string): void {
    this.#queues.delete(queue);
    this.#own.delete(queue);
    for (const [at, binding] of this.#bindings) if (binding.queue === queue) this.#bindings.delete(at);
  }

  /** Declares all of it in a new session. What the broker refuses goes to `onRefused`; rejects when the session ends. */
  async restore(session: AmqpSession, onRefused: (error: AmqpError) => void): Promise<void> {
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (session.ended) throw error;
        onRefused(error as AmqpError);
      }
    };
    for (const name of this.#exchanges) await attempt(() => this.declareExchange(session, name));
    for (const [name, args] of this.#queues) await attempt(() => this.#declareQueue(session, name, args));
    for (const given of this.#own.keys()) {
      const name = ownName();
      await attempt(() => declareOwn(session, name));
      this.#own.set(given, name);
    }
    for (const { queue, exchange, key } of this.#bindings.values())
      await attempt(() => this.bind(session, queue, exchange, key));
  }
}

/** Not the same again: the broker may not have noticed yet that the connection before is lost. */
const ownName = (): string => `nestmq.own.${randomUUID()}`;

async function declareOwn(session: AmqpSession, name: string): Promise<void> {
  await onChannel(session, (channel) => channel.assertQueue(name, { durable: false, exclusive: true }));
}

async function declareQueue(session: AmqpSession, name: string, args: FieldTable): Promise<void> {
  await onChannel(session, (channel) =>
    channel.assertQueue(name, { durable: true, arguments: toAmqplib(args) }),
  );
}

/** A queue of the transport's own, for all services: one that is there by a service with queues of another type will do. */
async function declareShared(session: AmqpSession, name: string, args: FieldTable): Promise<void> {
  try {
    await declareQueue(session, name, args);
  } catch (error) {
    if (driftOf('queue', name, error) === undefined) throw error;
  }
}

function givenUpTopologyOf(session: AmqpSession, queueType: 'quorum' | 'classic'): GivenUpTopology {
  return {
    declareExchange: (name, type, args) =>
      onChannel(session, (channel) =>
        channel.assertExchange(name, type, { durable: true, arguments: toAmqplib(args) }),
      ),
    declareSink: (name) => declareShared(session, name, { 'x-queue-type': queueType, 'x-message-ttl': 0 }),
    bindQueue: (queue, exchange, args) =>
      onChannel(session, (channel) => channel.bindQueue(queue, exchange, '', toAmqplib(args))),
  };
}

/** For wait queues, which are not remembered: they are declared when they are used. */
export function delayTopologyOf(
  run: <T>(work: (session: AmqpSession) => Promise<T>) => Promise<T>,
): DelayTopology {
  const onFresh = async (work: (channel: Channel) => Promise<unknown>): Promise<void> => {
    await run((session) => onChannel(session, work));
  };
  return {
    declareQueue: (name, args) => run((session) => declareShared(session, name, args)),
    declareExchange: (name, type) =>
      onFresh((channel) => channel.assertExchange(name, type, { durable: true })),
    bindExchange: (destination, source) =>
      onFresh((channel) => channel.bindExchange(destination, source, '')),
    bindQueue: (queue, exchange, args) =>
      onFresh((channel) => channel.bindQueue(queue, exchange, '', toAmqplib(args))),
    assertQueue: (name) => onFresh((channel) => channel.checkQueue(name)),
  };
}
