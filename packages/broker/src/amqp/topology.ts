import { assertExchangeType } from '../exchange-types.js';
import type { BindingInit } from '../exchanges.js';
import {
  assertDeletable,
  assertNotDefault,
  assertNotReserved,
  generatedName,
  notFound,
} from '../refusals.js';
import { REPLY_TO } from '../reply-consumers.js';
import type { ResourceKind } from './access.js';
import type { ChannelHost, QueueNames } from './channel-host.js';
import type {
  ExchangeBind,
  ExchangeDeclare,
  ExchangeDelete,
  ExchangeUnbind,
  Method,
  QueueBind,
  QueueDeclare,
  QueueDelete,
  QueuePurge,
  QueueUnbind,
} from './protocol.js';
import type { WireTable } from './wire.js';

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
      assertExchangeType(type);
      assertNotDefault(name);
      access.configure('exchange', name);
      if (engine.exchangeType(name) === undefined)
        this.#checkReference('exchange', name, args, 'alternate-exchange');
      const options = { type, durable, autoDelete, internal };
      await engine.declareExchange(name, { ...options, arguments: args.bytes });
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
    if (name.startsWith(REPLY_TO)) return this.#declareReplyTo(name, method.nowait);
    const { durable, exclusive, autoDelete, passive, nowait } = method;
    if (!passive) this.#checkDeclaration(name, method.args);
    const state = passive
      ? engine.checkQueue(name)
      : await engine.declareQueue(name, { durable, exclusive, autoDelete, arguments: method.args.bytes });
    this.#names.last = state.name;
    const { name: queue, messageCount, consumerCount } = state;
    this.#answer(nowait, { name: 'queue.declare-ok', queue, messageCount, consumerCount });
  }

  /** Answers whether a requester is there, and declares nothing. */
  #declareReplyTo(name: string, nowait: boolean): void {
    if (name !== REPLY_TO && !this.#host.engine.hasReplyConsumer(name))
      throw notFound('queue', name, this.#host.access.vhost);
    this.#names.last = name;
    const counts = { messageCount: 0, consumerCount: 1 };
    this.#answer(nowait, { name: 'queue.declare-ok', queue: name, ...counts });
  }

  async bindExchange({ source, destination, routingKey, nowait, args }: ExchangeBind): Promise<void> {
    const binding = bindingOf({ source, destination, routingKey, args });
    this.#checkBinding('exchange', binding.destination, binding.source, binding.key);
    await this.#host.engine.bindExchange(binding);
    this.#answer(nowait, { name: 'exchange.bind-ok' });
  }

  async unbindExchange({ source, destination, routingKey, nowait, args }: ExchangeUnbind): Promise<void> {
    const binding = bindingOf({ source, destination, routingKey, args });
    this.#checkBinding('exchange', binding.destination, binding.source, binding.key);
    await this.#host.engine.unbindExchange(binding);
    this.#answer(nowait, { name: 'exchange.unbind-ok' });
  }

  #checkDeclaration(name: string, args: WireTable): void {
    const { engine, access } = this.#host;
    assertNotReserved('queue', name);
    // Of a name that the server makes only its form is known yet.
    const likely = name === '' ? generatedName('amq.gen') : name;
    access.configure('queue', likely);
    if (!engine.hasQueue(name)) this.#checkReference('queue', likely, args, 'x-dead-letter-exchange');
  }

  /** Who sends messages on to an exchange must be allowed to publish to it, and to take them from where they are. */
  #checkReference(kind: ResourceKind, name: string, args: WireTable, argument: string): void {
    const exchange = args.text(argument);
    if (exchange === undefined) return;
    this.#host.access.read(kind, name);
    this.#host.access.write('exchange', exchange);
  }

  async bindQueue({ queue, exchange, routingKey, nowait, args }: QueueBind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    const source = withoutLineEnds(exchange);
    this.#checkBinding('queue', name, source, key);
    await this.#host.engine.bindQueue(name, source, key, args.bytes);
    this.#answer(nowait, { name: 'queue.bind-ok' });
  }

  async unbindQueue({ queue, exchange, routingKey, args }: QueueUnbind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    const source = withoutLineEnds(exchange);
    this.#checkBinding('queue', name, source, key);
    await this.#host.engine.unbindQueue(name, source, key, args.bytes);
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

function bindingOf({
  source,
  destination,
  routingKey,
  args,
}: Pick<ExchangeBind, 'source' | 'destination' | 'routingKey' | 'args'>): BindingInit<string> {
  return {
    source: withoutLineEnds(source),
    destination: withoutLineEnds(destination),
    key: routingKey,
    arguments: args.bytes,
  };
}

/** RabbitMQ strips them as well: they came from files and shells. */
function withoutLineEnds(name: string): string {
  return name.replaceAll(/[\r\n]/g, '');
}
