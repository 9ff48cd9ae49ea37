import type { ExchangeType } from '../definitions/definitions.js';
import { notImplemented } from './amqp-error.js';
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
import { checkBindingArguments, checkExchangeArguments } from './queue-arguments.js';

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
    const { engine } = this.#host;
    const name = withoutLineEnds(method.exchange);
    if (method.passive) engine.checkExchange(name);
    else {
      const { type, durable, autoDelete, internal, args } = method;
      if (type === 'headers') throw notImplemented("exchange type 'headers' is");
      if (internal) throw notImplemented(`internal of exchange '${name}' is`);
      checkExchangeArguments(name, args);
      await engine.declareExchange(name, { type: type as ExchangeType, durable, autoDelete });
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
    if (name.startsWith(DIRECT_REPLY_TO)) throw notImplemented('direct reply-to is');
    const { durable, exclusive, autoDelete, passive, nowait } = method;
    const state = passive
      ? engine.checkQueue(name)
      : await engine.declareQueue(name, { durable, exclusive, autoDelete, arguments: method.args.bytes });
    this.#names.last = state.name;
    const { name: queue, messageCount, consumerCount } = state;
    this.#answer(nowait, { name: 'queue.declare-ok', queue, messageCount, consumerCount });
  }

  async bindQueue({ queue, exchange, routingKey, nowait, args }: QueueBind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    checkBindingArguments(args);
    await this.#host.engine.bindQueue(name, withoutLineEnds(exchange), key);
    this.#answer(nowait, { name: 'queue.bind-ok' });
  }

  async unbindQueue({ queue, exchange, routingKey, args }: QueueUnbind): Promise<void> {
    const [name, key] = this.#queueAndKey(queue, routingKey);
    checkBindingArguments(args);
    await this.#host.engine.unbindQueue(name, withoutLineEnds(exchange), key);
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

/** RabbitMQ strips them as well: they came from files and shells. */
function withoutLineEnds(name: string): string {
  return name.replaceAll(/[\r\n]/g, '');
}
