import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import { type Message, systemClock } from '@nestmq/broker';
import { AsyncSubject, type Observable } from 'rxjs';
import { eventMessage, EVENTS_EXCHANGE, REPLY, requestMessage, REQUESTS_EXCHANGE } from './envelope.js';
import type { Link, LinkListener, PublishCallback, ReplySubscription } from './links/link.js';
import { openLink } from './links/open-link.js';
import { routingKeyOf } from './pattern.js';
import { loadObservers } from './observability/observers.js';
import { observedPublish, type Publish, publishDirectly } from './observability/publish-observer.js';
import { QueueClosedException } from './queue.exceptions.js';
import { type Encoded, Wire } from './wire/wire.js';
import { normaliseQueueOptions, type NormalisedQueueOptions, type QueueOptions } from './queue.options.js';

type PacketWithMetadata = ReadPacket & { readonly metadata?: unknown };

interface Session {
  readonly link: Link;
  readonly replies: ReplySubscription;
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
  readonly #wire = new Wire();
  readonly #unheard = new Set<string>();
  #session: Promise<Session> | undefined;
  #connected: Session | undefined;
  #publish: Publish = publishDirectly;

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
    const observers = await loadObservers(this.#options, (error) => this.#logger.error(error));
    this.#publish = observedPublish(observers);
    const link = await openLink(this.#options, this.#listener());
    try {
      await link.declareExchange(EVENTS_EXCHANGE);
      await link.declareExchange(REQUESTS_EXCHANGE);
      const replies = await link.consumeReplies({
        onReply: (message) => void this.#onReply(message),
        onLost: (error) => this.#failRequests(error),
      });
      return { link, replies };
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
    this.#failRequests(new QueueClosedException());
    // A connection that failed has told its caller.
    const opened = await session?.catch(() => undefined);
    await opened?.link.close();
  }

  #listener(): LinkListener {
    return {
      onConnected: () => {},
      onDisconnected: (error) => this.#logger.error(error),
      onBlocked: () => {},
      onError: (error) => this.#logger.error(error),
    };
  }

  #failRequests(err: Error): void {
    for (const callback of this.routingMap.values()) (callback as (packet: WritePacket) => void)({ err });
    this.routingMap.clear();
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

  /** Nest 11 has no dispatch hook, and no method of this name. */
  protected override createPacket(pattern: unknown, data: unknown): ReadPacket {
    const packet: ReadPacket = { pattern, data };
    this.onDispatchHook?.(packet);
    return packet;
  }

  /** Throws QueueOptionsException for a pattern that can't be a routing key. */
  protected override normalizePattern(pattern: Parameters<ClientProxy['normalizePattern']>[0]): string {
    return routingKeyOf(pattern, super.normalizePattern(pattern));
  }

  #dispatch(packet: PacketWithMetadata, done: PublishCallback): void {
    const { clock = systemClock } = this.#options.broker;
    try {
      const { link } = this.#requireSession();
      const pattern = this.normalizePattern(packet.pattern as string);
      const encoded = this.#wire.encode(packet.data);
      const publish = (ready: Encoded): void =>
        this.#publish(
          link,
          eventMessage(pattern, ready, packet.metadata, clock.now()),
          (error, unroutable) => {
            if (unroutable === true) this.#warnUnheard(pattern);
            done(error);
          },
        );
      if (encoded instanceof Promise) encoded.then(publish).catch(done);
      else publish(encoded);
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
    void this.#request(pattern, correlationId, packet, callback).catch((error: unknown) => {
      forget();
      callback({ err: error });
    });
    return forget;
  }

  async #request(
    pattern: string,
    correlationId: string,
    { data, metadata }: PacketWithMetadata,
    callback: (packet: WritePacket) => void,
  ): Promise<void> {
    const { link, replies } = this.#requireSession();
    this.routingMap.set(correlationId, callback);
    const encoded = await this.#wire.encode(data);
    const message = requestMessage(pattern, encoded, { replyTo: replies.address, correlationId, metadata });
    const onPublished = (error?: Error): void => {
      if (error === undefined || !this.routingMap.delete(correlationId)) return;
      callback({ err: error });
    };
    this.#publish(link, message, onPublished, { mandatory: true });
  }

  #requireSession(): Session {
    if (this.#connected === undefined) throw new QueueClosedException();
    return this.#connected;
  }

  async #onReply(message: Message): Promise<void> {
    const { correlationId = '', type } = message.properties;
    const callback = this.routingMap.get(correlationId) as ((packet: WritePacket) => void) | undefined;
    // Who unsubscribed is not waiting any more.
    if (callback === undefined) return;
    if (type !== REPLY.value) this.routingMap.delete(correlationId);
    callback(await this.#readReply(message));
  }

  async #readReply(message: Message): Promise<WritePacket> {
    let data: unknown;
    try {
      data = await this.#wire.decode(message);
    } catch (error) {
      return { err: new Error(`The reply can't be read: ${String(error)}`) };
    }
    switch (message.properties.type) {
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
}

function isNil(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Patterns may be made up without end; warning about some is enough. */
const UNHEARD_PATTERNS_MAX = 1000;
