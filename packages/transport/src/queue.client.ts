import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import { systemClock } from '@nestmq/broker';
import { AsyncSubject, type Observable } from 'rxjs';
import {
  decodeBody,
  eventMessage,
  EVENTS_EXCHANGE,
  REPLY,
  requestMessage,
  REQUESTS_EXCHANGE,
} from './envelope.js';
import type { Link, LinkDelivery, PublishCallback } from './links/link.js';
import { openLink } from './links/open-link.js';
import { QueueClosedException } from './queue.exceptions.js';
import { normaliseQueueOptions, type NormalisedQueueOptions, type QueueOptions } from './queue.options.js';

type PacketWithMetadata = ReadPacket & { readonly metadata?: unknown };

interface Session {
  readonly link: Link;
  readonly replyQueue: string;
}

/**
 * Sends to handlers, of this process or another one on the same broker. By `QueueModule`, or as `customClass` in Nest's
 * `ClientsModule`, whose `options` are then QueueOptions.
 *
 * `emit` completes when the event is on the disk, in the queue of each service that handles it; it errors when that
 * can't be promised. An event that no service has ever subscribed to is not kept.
 * `send` fails at once with NoHandlerException when no service handles the pattern.
 *
 * @publicApi
 */
export class QueueClient extends ClientProxy {
  readonly #options: NormalisedQueueOptions;
  readonly #logger = new Logger(QueueClient.name);
  readonly #unheard = new Set<string>();
  #session: Promise<Session> | undefined;
  #connected: Session | undefined;

  /** Throws QueueOptionsException for options that can't be meant. */
  constructor(options: QueueOptions) {
    super();
    this.#options = normaliseQueueOptions(options);
  }

  /** Opens the link; a failed try is not remembered. Not needed: the first message connects. */
  async connect(): Promise<Link> {
    if (this.#connected !== undefined) return this.#connected.link;
    this.#session ??= this.#open();
    try {
      this.#connected = await this.#session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
    return this.#connected.link;
  }

  async #open(): Promise<Session> {
    const link = await openLink(this.#options);
    try {
      await link.declareExchange(EVENTS_EXCHANGE);
      await link.declareExchange(REQUESTS_EXCHANGE);
      const replyQueue = await link.declareReplyQueue();
      await link.consume(replyQueue, {
        prefetchCount: 0,
        noAck: true,
        onDelivery: (delivery) => this.#onReply(delivery),
        onCancel: () => {},
      });
      return { link, replyQueue };
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  /** Lets go of the broker; answers still awaited fail with QueueClosedException. Idempotent. The next message reconnects. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#connected = undefined;
    for (const callback of this.routingMap.values())
      (callback as (packet: WritePacket) => void)({ err: new QueueClosedException() });
    this.routingMap.clear();
    // A connection that failed has told its caller.
    const opened = await session?.catch(() => undefined);
    await opened?.link.close();
  }

  override on(): never {
    throw new Error('QueueClient has no events of its own; its methods tell their callers.');
  }

  /** The link to the broker. Throws before {@link connect}. */
  override unwrap<T>(): T {
    if (this.#connected === undefined) {
      throw new Error('Not initialized. Please call the "connect" method first.');
    }
    return this.#connected.link as T;
  }

  /**
   * Sends the event now, whether or not somebody subscribes. The Observable gives `undefined` and completes when the
   * event is durable, also for those who subscribe after that.
   */
  override emit<R = unknown, I = unknown>(pattern: unknown, data: I): Observable<R> {
    // The long way connects first, and refuses what Nest refuses.
    if (this.#connected === undefined || isNil(pattern) || isNil(data)) return super.emit(pattern, data);
    const done = new AsyncSubject<R>();
    this.#dispatch(this.createPacket(pattern, data), (error) => {
      if (error !== undefined) {
        if (!done.observed) this.#logger.error(`'${String(pattern)}' was not emitted: ${error.message}`);
        return done.error(error);
      }
      done.next(undefined as R);
      return done.complete();
    });
    return done;
  }

  protected override dispatchEvent<T>(packet: PacketWithMetadata): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#dispatch(packet, (error) => (error === undefined ? resolve(undefined as T) : reject(error)));
    });
  }

  #dispatch(packet: PacketWithMetadata, done: PublishCallback): void {
    const { clock = systemClock } = this.#options.broker;
    try {
      const { link } = this.#requireSession();
      const pattern = this.normalizePattern(packet.pattern as string);
      const outcome = link.publish(eventMessage(pattern, packet.data, packet.metadata, clock.now()), done);
      if (outcome === 'unroutable') this.#warnUnheard(pattern);
    } catch (error) {
      done(error as Error);
    }
  }

  #warnUnheard(pattern: string): void {
    if (this.#unheard.has(pattern) || this.#unheard.size >= UNHEARD_PATTERNS_MAX) return;
    this.#unheard.add(pattern);
    this.#logger.warn(
      `No service has ever subscribed to '${pattern}', so such events are not kept. Start a service that handles it before it is emitted.`,
    );
  }

  protected override publish(
    packet: PacketWithMetadata,
    callback: (packet: WritePacket) => void,
  ): () => void {
    const pattern = this.normalizePattern(packet.pattern as string);
    const correlationId = randomUUID();
    const forget = (): void => {
      this.routingMap.delete(correlationId);
    };
    try {
      const { link, replyQueue } = this.#requireSession();
      const message = requestMessage(pattern, packet.data, {
        replyTo: replyQueue,
        correlationId,
        metadata: packet.metadata,
      });
      this.routingMap.set(correlationId, callback);
      const onPublished = (error?: Error): void => {
        if (error === undefined) return;
        forget();
        callback({ err: error });
      };
      link.publish(message, onPublished, { mandatory: true });
    } catch (error) {
      forget();
      callback({ err: error });
    }
    return forget;
  }

  #requireSession(): Session {
    if (this.#connected === undefined) throw new QueueClosedException();
    return this.#connected;
  }

  #onReply({ message }: LinkDelivery): void {
    const { correlationId = '', type } = message.properties;
    const callback = this.routingMap.get(correlationId) as ((packet: WritePacket) => void) | undefined;
    // Who unsubscribed is not waiting any more.
    if (callback === undefined) return;
    if (type !== REPLY.value) this.routingMap.delete(correlationId);
    callback(readReply(type, message.body));
  }
}

function isNil(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Patterns may be made up without end; warning about some is enough. */
const UNHEARD_PATTERNS_MAX = 1000;

function readReply(type: string | undefined, body: Buffer): WritePacket {
  let data: unknown;
  try {
    data = decodeBody(body);
  } catch (error) {
    return { err: new Error(`The reply is not JSON: ${String(error)}`) };
  }
  switch (type) {
    case REPLY.value:
      return { response: data };
    case REPLY.end:
      return { isDisposed: true };
    case REPLY.error:
      return { err: data };
    default:
      // A plain reply, as a client in another language would send it.
      return { response: data, isDisposed: true };
  }
}
