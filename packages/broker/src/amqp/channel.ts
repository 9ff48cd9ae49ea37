import { AmqpError } from './amqp-error.js';
import { type ChannelHost, QueueNames } from './channel-host.js';
import { Consuming } from './consuming.js';
import { ContentAssembler } from './content.js';
import type { FrameParser } from './frame-parser.js';
import { type ConfirmSelect, type Method, METHODS } from './protocol.js';
import { Publishing } from './publishing.js';
import { Topology } from './topology.js';
import { Transaction } from './transaction.js';

/** Of class and method. */
const ID_BYTES = 4;
const ACK = idOf(METHODS['basic.ack']);
const PUBLISH = idOf(METHODS['basic.publish']);

/** Nothing: it is done. A promise: the channel does nothing else until it is. */
export type Step = Promise<void> | void;

/** One channel that is open: from `channel.open` until either side closes it. */
export class Channel {
  /** It was closed by an error, and the client has not answered yet. Frames are ignored. */
  isClosing = false;
  /** Something that takes time: the next frame has to wait. */
  busy: Promise<void> | undefined;
  readonly #number: number;
  readonly #host: ChannelHost;
  readonly #content: ContentAssembler;
  readonly #transaction = new Transaction();
  readonly #topology: Topology;
  readonly #publishing: Publishing;
  readonly #consuming: Consuming;

  constructor(number: number, host: ChannelHost) {
    this.#number = number;
    this.#host = host;
    this.#content = new ContentAssembler(host.unfinished);
    const names = new QueueNames((text) => new AmqpError('NOT_FOUND', text));
    this.#topology = new Topology(number, host, names);
    this.#consuming = new Consuming(number, host, names, this.#transaction);
    const replyName = (): string | undefined => this.#consuming.replyName;
    this.#publishing = new Publishing(number, host, this.#transaction, replyName);
  }

  /** The method whose content has begun and is not whole: no other may come before. */
  get publishUnderWay(): Method | undefined {
    return this.#content.underWay;
  }

  /** What is wrong with a frame that comes all the same. */
  outOfOrder(): AmqpError {
    return this.#content.outOfOrder();
  }

  header(parser: FrameParser): Step {
    const content = this.#content.header(parser);
    return content === undefined ? undefined : this.#publishing.publish(content);
  }

  body(parser: FrameParser): Step {
    const content = this.#content.body(parser);
    return content === undefined ? undefined : this.#publishing.publish(content);
  }

  /**
   * Handles the two methods that there are for each message straight from the frame. Returns false, with nothing done, for
   * all others, and for what is wrong with these. No content is under way. Throws as {@link readMethod}.
   */
  frequent(parser: FrameParser): boolean {
    if (parser.end - parser.start < ID_BYTES) return false;
    const id = parser.buffer.readUInt32BE(parser.start);
    if (id === ACK) return this.#consuming.ackOne(parser);
    if (id !== PUBLISH) return false;
    this.#content.begin(parser);
    return true;
  }

  method(method: Method): Step {
    return method.name.startsWith('basic.') ? this.#basic(method) : this.#other(method);
  }

  #basic(method: Method): Step {
    switch (method.name) {
      case 'basic.ack':
        return this.#consuming.settle(method.deliveryTag, method.multiple, 'ack');
      case 'basic.nack': {
        const how = method.requeue ? 'requeue' : 'discard';
        return this.#consuming.settle(method.deliveryTag, method.multiple, how);
      }
      case 'basic.reject':
        return this.#consuming.settle(method.deliveryTag, false, method.requeue ? 'requeue' : 'discard');
      case 'basic.consume':
        return this.#consuming.consume(method);
      case 'basic.cancel':
        this.#consuming.cancel(method.consumerTag);
        if (method.nowait) return undefined;
        return this.#answer({ name: 'basic.cancel-ok', consumerTag: method.consumerTag });
      case 'basic.get':
        return this.#consuming.get(method);
      case 'basic.qos':
        this.#consuming.qos(method);
        return this.#answer({ name: 'basic.qos-ok' });
      case 'basic.recover':
        this.#consuming.recover(method.requeue);
        return this.#answer({ name: 'basic.recover-ok' });
      case 'basic.recover-async':
        return this.#consuming.recover(method.requeue);
      default:
        throw unexpected();
    }
  }

  #other(method: Method): Step {
    switch (method.name) {
      case 'queue.declare':
        return this.#topology.declareQueue(method);
      case 'queue.bind':
        return this.#topology.bindQueue(method);
      case 'queue.unbind':
        return this.#topology.unbindQueue(method);
      case 'queue.purge':
        return this.#topology.purgeQueue(method);
      case 'queue.delete':
        return this.#consuming.cancelledAfter(() => this.#topology.deleteQueue(method));
      case 'exchange.declare':
        return this.#topology.declareExchange(method);
      case 'exchange.delete':
        return this.#topology.deleteExchange(method);
      case 'exchange.bind':
        return this.#topology.bindExchange(method);
      case 'exchange.unbind':
        return this.#topology.unbindExchange(method);
      case 'channel.flow':
        if (!method.active) throw new AmqpError('NOT_IMPLEMENTED', 'active=false');
        return this.#answer({ name: 'channel.flow-ok', active: true });
      case 'channel.open':
        throw new AmqpError('CHANNEL_ERROR', "second 'channel.open' seen");
      case 'access.request':
        return this.#answer({ name: 'access.request-ok', ticket: 1 });
      case 'confirm.select':
        return this.#selectConfirms(method);
      case 'tx.select':
      case 'tx.commit':
      case 'tx.rollback':
        return this.#transact(method.name);
      default:
        throw unexpected();
    }
  }

  #answer(method: Method): undefined {
    this.#host.outbox.method(this.#number, method);
  }

  #selectConfirms({ nowait }: ConfirmSelect): undefined {
    if (this.#transaction.isSelected)
      throw new AmqpError('PRECONDITION_FAILED', 'cannot switch from tx to confirm mode');
    this.#publishing.confirm();
    if (!nowait) this.#answer({ name: 'confirm.select-ok' });
  }

  #transact(name: 'tx.select' | 'tx.commit' | 'tx.rollback'): Step {
    if (name === 'tx.select') {
      if (this.#publishing.isConfirming)
        throw new AmqpError('PRECONDITION_FAILED', 'cannot switch from confirm to tx mode');
      this.#transaction.isSelected = true;
      return this.#answer({ name: 'tx.select-ok' });
    }
    if (!this.#transaction.isSelected)
      throw new AmqpError('PRECONDITION_FAILED', 'channel is not transactional');
    if (name === 'tx.commit') return this.#commit();
    this.#consuming.putBack(this.#transaction.rollback());
    return this.#answer({ name: 'tx.rollback-ok' });
  }

  async #commit(): Promise<void> {
    const { engine } = this.#host;
    while (engine.blocked !== undefined) await this.#host.unblocked();
    for (const message of this.#transaction.commit(engine)) this.#publishing.returnUnroutable(message);
    this.#consuming.wake();
    await engine.durable();
    this.#answer({ name: 'tx.commit-ok' });
  }

  /** The client reads again. */
  wake(): void {
    this.#consuming.wake();
  }

  /** Consumers end, and what is unsettled goes back. Idempotent. */
  close(): void {
    this.#content.abandon();
    this.#publishing.close();
    this.#consuming.close();
  }
}

function idOf({ classId, methodId }: { readonly classId: number; readonly methodId: number }): number {
  return classId * 0x1_0000 + methodId;
}

function unexpected(): AmqpError {
  return new AmqpError('COMMAND_INVALID', 'unimplemented method');
}
