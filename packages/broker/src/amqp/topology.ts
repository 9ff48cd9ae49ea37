import type { ExchangeType } from '../definitions/definitions.js';
import type { BindingInit } from '../exchanges.js';
import { notFound } from '../refusals.js';
import { REPLY_TO } from '../reply-consumers.js';
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

const VHOST = '/';

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
    const { engine } = this.#host;
    const name = withoutLineEnds(method.exchange);
    if (method.passive) engine.checkExchange(name);
    else {
      const { type, durable, autoDelete, internal, args } = method;
      const options = { type: type as ExchangeType, durable, autoDelete, internal };
      await engine.declareExchange(name, { ...options, arguments: args.bytes });
    }
    this.#answer(method.nowait, { name: 'exchange.declare-ok' });
  }

  async deleteExchange({ exchange, ifUnused, nowait }: ExchangeDelete): Promise<void> {
    await this.#host.engine.deleteExchange(withoutLineEnds(exchange), { ifUnused });
    this.#answer(nowait, { name: 'exchange.delete-ok' });
  }

  async declareQueue(method: QueueDeclare): Promise<void> {
    const { engine } = this.#host;
    const name = withoutLineEnds(method.queue);
    if (name.startsWith(REPLY_TO)) return this.#declareReplyTo(name, method.nowait);
    const { durable, exclusive, autoDelete, passive, nowait } = method;
    const state = passive
      ? engine.checkQueue(name)
      : await engine.declareQueue(name, { durable, exclusive, autoDelete, arguments: method.args.bytes });
    this.#names.last = state.name;
    const { name: queue, messageCount, consumerCount } = state;
    this.#answer(nowait, { name: 'queue.declare-ok', queue, messageCount, consumerCount });
  }

  /** Answers whether a requester is there, and declares nothing. */
  #declareReplyTo(name: string, nowait: boolean): void {
    if (name !== REPLY_TO && !this.#host.engine.hasReplyConsumer(name)) throw notFound('queue', name, VHOST);
    this.#names.last = name;
    const counts = { messageCount: 0, consumerCount: 1 };
    this.#answer(nowait, { name: 'queue.declare-ok', queue: name, ...counts });
  }

  async bindExchange({ source, destination, routingKey, nowait, args }: ExchangeBind): Promise<void> {
    await this.#host.engine.bindExchange(bindingOf({ source, destination, routingKey, args }));
    this.#answer(nowait, { name: 'exchange.bind-ok' });
  }

  async unbindExchange({ source, destination, routingKey, nowait, args }: ExchangeUnbind): Promise<void> {
    await this.#host.engine.unbindExchange(bindingOf({ source, destination, routingKey, args }));
    this.#answer(nowait, { name: 'exchange.unbind-ok' });
  }

  async bindQueue({ queue, exchange, routingKey, nowait, args }: QueueBind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    await this.#host.engine.bindQueue(name, withoutLineEnds(exchange), key, args.bytes);
    this.#answer(nowait, { name: 'queue.bind-ok' });
  }

  async unbindQueue({ queue, exchange, routingKey, args }: QueueUnbind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    await this.#host.engine.unbindQueue(name, withoutLineEnds(exchange), key, args.bytes);
    this.#answer(false, { name: 'queue.unbind-ok' });
  }

  async purgeQueue({ queue, nowait }: QueuePurge): Promise<void> {
    const messageCount = await this.#host.engine.purgeQueue(this.#names.expand(queue));
    this.#answer(nowait, { name: 'queue.purge-ok', messageCount });
  }

  async deleteQueue({ queue, ifUnused, ifEmpty, nowait }: QueueDelete): Promise<void> {
    const name = this.#names.expand(withoutLineEnds(queue));
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
