import {
  assertDeletable,
  assertExchangeType,
  assertNotDefault,
  assertNotReserved,
  generatedName,
} from '../vhost.js';
import { notImplemented } from './amqp-error.js';
import type { ResourceKind } from './access.js';
import type { ChannelHost, QueueNames } from './channel-host.js';
import type {
  ExchangeDeclare,
  ExchangeDelete,
  Method,
  QueueBind,
  QueueDeclare,
  QueueDelete,
  QueuePurge,
  QueueUnbind,
} from './protocol.js';
import { checkBindingArguments, checkExchangeArguments, checkQueueArguments } from './queue-arguments.js';
import type { WireTable } from './wire.js';

export const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';

/** A channel's `exchange.*` and `queue.*`: answered when what they change is durable. */
export class Topology {
  readonly #channel: number;
  readonly #host: ChannelHost;
  readonly #names: QueueNames;

  constructor(channel: number, host: ChannelHost, names: QueueNames) {
    this.#channel = channel;
    this.#host = host;
    this.#names = names;
  }

  async declareExchange(method: ExchangeDeclare): Promise<void> {
    const { engine, access } = this.#host;
    const name = withoutLineEnds(method.exchange);
    if (method.passive) engine.checkExchange(name);
    else {
      const { type, durable, autoDelete, internal, args } = method;
      if (type === 'headers') throw notImplemented("exchange type 'headers' is");
      assertExchangeType(type);
      assertNotDefault(name);
      access.configure('exchange', name);
      if (internal) throw notImplemented(`internal of exchange '${name}' is`);
      if (engine.exchangeType(name) === undefined)
        this.#checkReference('exchange', name, args, 'alternate-exchange');
      checkExchangeArguments(name, args);
      await engine.declareExchange(name, { type, durable, autoDelete });
    }
    this.#answer(method.nowait, { name: 'exchange.declare-ok' });
  }

  async deleteExchange({ exchange, ifUnused, nowait }: ExchangeDelete): Promise<void> {
    const name = withoutLineEnds(exchange);
    const { engine, access } = this.#host;
    assertDeletable(name, access.vhost);
    access.configure('exchange', name);
    await engine.deleteExchange(name, { ifUnused });
    this.#answer(nowait, { name: 'exchange.delete-ok' });
  }

  async declareQueue(method: QueueDeclare): Promise<void> {
    const { engine } = this.#host;
    const name = withoutLineEnds(method.queue);
    if (name.startsWith(DIRECT_REPLY_TO)) throw notImplemented('direct reply-to is');
    const { durable, exclusive, autoDelete, passive, nowait } = method;
    if (!passive) this.#checkDeclaration(name, method.args);
    const state = passive
      ? engine.checkQueue(name)
      : await engine.declareQueue(name, { durable, exclusive, autoDelete });
    this.#names.last = state.name;
    const { name: queue, messageCount, consumerCount } = state;
    this.#answer(nowait, { name: 'queue.declare-ok', queue, messageCount, consumerCount });
  }

  #checkDeclaration(name: string, args: WireTable): void {
    const { engine, access } = this.#host;
    assertNotReserved('queue', name);
    // Of a name that the server makes only its form is known yet.
    access.configure('queue', name === '' ? generatedName('amq.gen') : name);
    if (!engine.hasQueue(name)) this.#checkReference('queue', name, args, 'x-dead-letter-exchange');
    checkQueueArguments(name, args);
  }

  /** Who sends messages on to an exchange must be allowed to publish to it, and to take them from where they are. */
  #checkReference(kind: ResourceKind, name: string, args: WireTable, argument: string): void {
    const exchange = args.values[argument];
    if (typeof exchange !== 'string') return;
    this.#host.access.read(kind, name);
    this.#host.access.write('exchange', exchange);
  }

  async bindQueue({ queue, exchange, routingKey, nowait, args }: QueueBind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    const source = withoutLineEnds(exchange);
    this.#checkBinding('queue', name, source, key);
    checkBindingArguments(args);
    await this.#host.engine.bindQueue(name, source, key);
    this.#answer(nowait, { name: 'queue.bind-ok' });
  }

  async unbindQueue({ queue, exchange, routingKey, args }: QueueUnbind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    const source = withoutLineEnds(exchange);
    this.#checkBinding('queue', name, source, key);
    checkBindingArguments(args);
    await this.#host.engine.unbindQueue(name, source, key);
    this.#answer(false, { name: 'queue.unbind-ok' });
  }

  /** As RabbitMQ, for binding and unbinding alike. */
  #checkBinding(kind: ResourceKind, destination: string, source: string, key: string): void {
    const { engine, access } = this.#host;
    access.write(kind, destination);
    assertNotDefault(source);
    access.read('exchange', source);
    if (access.restrictsTopics(source) && engine.exchangeType(source) === 'topic')
      access.topic('read', source, key);
  }

  async purgeQueue({ queue, nowait }: QueuePurge): Promise<void> {
    const name = this.#names.expand(queue);
    this.#host.access.read('queue', name);
    const messageCount = await this.#host.engine.purgeQueue(name);
    this.#answer(nowait, { name: 'queue.purge-ok', messageCount });
  }

  async deleteQueue({ queue, ifUnused, ifEmpty, nowait }: QueueDelete): Promise<void> {
    const name = this.#names.expand(withoutLineEnds(queue));
    this.#host.access.configure('queue', name);
    const messageCount = await this.#host.engine.deleteQueue(name, { ifUnused, ifEmpty });
    this.#answer(nowait, { name: 'queue.delete-ok', messageCount });
  }

  /** Without a name and a key, the key is the last queue's name too. */
  #queueAndKey(queue: string, key: string): [name: string, key: string] {
    const name = this.#names.expand(withoutLineEnds(queue));
    return [name, queue === '' && key === '' ? name : key];
  }

  #answer(nowait: boolean, method: Method): void {
    if (!nowait) this.#host.outbox.method(this.#channel, method);
  }
}

/** RabbitMQ strips them as well: they came from files and shells. */
function withoutLineEnds(name: string): string {
  return name.replaceAll(/[\r\n]/g, '');
}
