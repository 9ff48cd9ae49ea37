import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import {
  ClientProxy,
  type MsPattern,
  type ProducerDeserializer,
  type ProducerSerializer,
  type ReadPacket,
  type WritePacket,
} from '@nestjs/microservices';
import type { Message } from '@nestmq/broker';
import { AsyncSubject, Observable } from 'rxjs';
import type { QueueClientEvents, QueueClientStatus } from './client-events.js';
import {
  answerLost,
  namingPattern,
  stillAway,
  tooManyWait,
  UNHEARD_PATTERNS_MAX,
  WAITING_MAX,
} from './client-waiting.js';
import { describeError } from './describe-error.js';
import { EVENTS_EXCHANGE, REQUESTS_EXCHANGE } from './envelope.js';
import { EventListeners } from './event-listeners.js';
import type { Link, LinkListener, PublishCallback, ReplySubscription } from './links/link.js';
import { openLink } from './links/open-link.js';
import { loadObservers } from './observability/observers.js';
import { observedPublish, type Publish, publishDirectly } from './observability/publish-observer.js';
import { routingKeyOf } from './pattern.js';
import { millisecondsOf } from './option-checks.js';
import { PendingRequests } from './pending-requests.js';
import { QueueClosedException, QueueTimeoutException } from './queue.exceptions.js';
import { normaliseQueueOptions, type NormalisedQueueOptions, type QueueOptions } from './queue.options.js';
import { recordIn } from './queue.record.js';
import { InOrder } from './wire/in-order.js';
import { type Outgoing, outgoingEvent, outgoingRequest } from './wire/outgoing.js';
import { readReply } from './wire/replies.js';
import { Wire } from './wire/wire.js';

interface Session {
  readonly link: Link;
  readonly replies: ReplySubscription;
}

type Callback = (packet: WritePacket) => void;

/**
 * Sends to handlers, of this process or another one on the same broker. By `QueueModule`, or as `customClass` in Nest's
 * `ClientsModule`, whose `options` are then QueueOptions. Data may be a QueueRecord, which says how it is sent.
 *
 * `emit` completes when the event is on the disk, in the queue of each service that handles it; it errors when that
 * can't be promised. An event that no service has ever subscribed to is not kept.
 * `send` fails at once with NoHandlerException when no service handles the pattern, and with QueueTimeoutException when no
 * answer comes in time. Messages of one client go out in the order in which it was told to send them.
 *
 * @publicApi
 */
export class QueueClient extends ClientProxy<QueueClientEvents> {
  readonly #options: NormalisedQueueOptions;
  readonly #logger = new Logger(QueueClient.name);
  readonly #wire: Wire;
  readonly #outgoing = new InOrder();
  readonly #pending: PendingRequests;
  readonly #unheard = new Set<string>();
  readonly #listeners = new EventListeners<QueueClientEvents>(this.#logger);
  /** Requests that wait for the broker to come back: where answers come in is another address then. */
  readonly #held = new Map<string, () => void>();
  #isAway = false;
  #opening = new AbortController();
  #session: Promise<Session> | undefined;
  #connected: Session | undefined;
  #publish: Publish = publishDirectly;

  /** Throws QueueOptionsException for options that can't be meant. */
  constructor(options: QueueOptions) {
    super();
    this.#options = normaliseQueueOptions(options);
    this.#pending = new PendingRequests(this.#options.clock);
    this.initializeSerializer(options);
    this.initializeDeserializer(options);
    const { serializer, deserializer } = this;
    this.#wire = new Wire({ ...this.#options.wire, serializer, deserializer });
  }

  /** None unless the options name one: packets are written as they are. */
  protected override initializeSerializer(options: { readonly serializer?: ProducerSerializer }): void {
    if (options.serializer !== undefined) this.serializer = options.serializer;
  }

  protected override initializeDeserializer(options: { readonly deserializer?: ProducerDeserializer }): void {
    if (options.deserializer !== undefined) this.deserializer = options.deserializer;
  }

  /** The last one, and each that follows. */
  override get status(): Observable<QueueClientStatus> {
    return super.status as Observable<QueueClientStatus>;
  }

  /** Messages that it was told to send and that have not gone out yet, and requests that wait for an answer. */
  get underWay(): number {
    return this.#outgoing.size + this.#pending.size;
  }

  // ---------------------------------------------------------------- the link

  /** Opens the link; a failed try is not remembered. Not needed: the first message connects. */
  async connect(): Promise<Link> {
    return (this.#connected ?? (await this.#connect())).link;
  }

  async #connect(): Promise<Session> {
    const opening = (this.#session ??= this.#open());
    try {
      const session = await opening;
      // Closed meanwhile.
      if (this.#session !== opening) throw new QueueClosedException();
      this.#connected = session;
      return session;
    } catch (error) {
      if (this.#session === opening) this.#session = undefined;
      throw error;
    }
  }

  async #open(): Promise<Session> {
    const observers = await loadObservers(this.#options, (error) => this.#logger.error(error));
    this.#publish = observedPublish(observers);
    const { signal } = this.#opening;
    const link = await openLink(this.#options, this.#listener(), signal);
    // What is being set up may wait for a broker that is away. How closing ends is told below.
    const giveUp = (): unknown => link.close().catch(() => undefined);
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
    try {
      if (this.#wire.format === 'nestmq') {
        await link.declareExchange(EVENTS_EXCHANGE);
        await link.declareExchange(REQUESTS_EXCHANGE);
      }
      const replies = await link.consumeReplies({
        onReply: (message) => this.#onReply(message),
        onLost: (error) => this.#pending.failAll(answerLost(error)),
      });
      return { link, replies };
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Lets go of the broker; answers still awaited fail with QueueClosedException. Idempotent. The next message reconnects. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#connected = undefined;
    this.#pending.failAll(new QueueClosedException());
    this.#held.clear();
    this.#isAway = false;
    this.#opening.abort();
    this.#opening = new AbortController();
    if (session === undefined) return;
    // A connection that failed has told its caller.
    const opened = await session.catch(() => undefined);
    await opened?.link.close();
    if (opened !== undefined) this.#show('disconnected');
  }

  #listener(): LinkListener {
    return {
      onConnected: () => this.#onConnected(),
      onDisconnected: (error) => {
        this.#isAway = true;
        this.#show('disconnected');
        this.#logger.error(error);
        this.#listeners.tell('disconnect', error);
      },
      onBlocked: (reason) => this.#onBlocked(reason),
      onError: (error) => {
        this.#logger.error(error);
        this.#listeners.tell('error', error);
      },
    };
  }

  #show(status: QueueClientStatus): void {
    this._status$.next(status);
  }

  #onConnected(): void {
    this.#isAway = false;
    this.#show('connected');
    this.#listeners.tell('connect');
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const send of held) send();
  }

  #onBlocked(reason: string | undefined): void {
    this.#show(reason === undefined ? 'unblocked' : 'blocked');
    if (reason === undefined) return this.#listeners.tell('unblocked');
    this.#logger.warn(`The broker takes no messages now, so they wait: ${reason}`);
    return this.#listeners.tell('blocked', reason);
  }

  /** May be called before {@link connect}. What a listener throws is logged. */
  override on<K extends keyof QueueClientEvents>(event: K, callback: QueueClientEvents[K]): void {
    this.#listeners.add(event, callback);
  }

  /** The link to the broker. Throws before {@link connect}. */
  override unwrap<T>(): T {
    if (this.#connected === undefined) {
      throw new Error('Not initialized. Please call the "connect" method first.');
    }
    return this.#connected.link as T;
  }

  // ---------------------------------------------------------------- events

  /**
   * Sends the event now, whether or not somebody subscribes. The Observable gives `undefined` and completes when the
   * event is durable, also for those who subscribe after that. A failure that nobody observes is logged.
   */
  override emit<R = unknown, I = unknown>(pattern: unknown, data: I): Observable<R> {
    // Nest's own way to refuse.
    if (isNil(pattern) || isNil(data)) return super.emit(pattern, data);
    const done = new AsyncSubject<R>();
    this.#dispatch(
      () => this.createPacket(pattern, data),
      (error) => {
        if (error !== undefined) return this.#fail(done, pattern, error);
        done.next(undefined as R);
        return done.complete();
      },
    );
    return done;
  }

  /** Not at once: whoever emits subscribes after that. */
  #fail<R>(done: AsyncSubject<R>, pattern: unknown, error: Error): void {
    queueMicrotask(() => {
      if (!done.observed) this.#logger.error(`'${String(pattern)}' was not emitted: ${describeError(error)}`);
      done.error(error);
    });
  }

  /** As Nest 12 does it; Nest 11 has neither this method nor its hook. */
  protected override createPacket<T>(pattern: unknown, data: T): ReadPacket<T> {
    const packet: ReadPacket<T> = { pattern, data };
    this.onDispatchHook?.(packet);
    return packet;
  }

  /** Throws QueueOptionsException for a pattern that can't be a routing key. */
  protected override normalizePattern(pattern: Parameters<ClientProxy['normalizePattern']>[0]): string {
    return routingKeyOf(pattern, super.normalizePattern(pattern));
  }

  protected override dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#dispatch(
        () => packet,
        (error) => (error === undefined ? resolve(undefined as T) : reject(error)),
      );
    });
  }

  #dispatch(packetOf: () => ReadPacket, done: PublishCallback): void {
    this.#whenConnected(
      () => outgoingEvent(packetOf(), this.#context()),
      ({ message, options }) =>
        this.#publish(
          this.#requireSession().link,
          message,
          (error, unroutable) => {
            if (unroutable === true) this.#warnUnheard(message.routingKey);
            done(error);
          },
          options,
        ),
      (error) => done(error as Error),
    );
  }

  /** At once if it is connected and nothing waits. */
  #whenConnected(
    outgoing: () => Outgoing | Promise<Outgoing>,
    publish: (outgoing: Outgoing) => void,
    failed: (error: unknown) => void,
  ): void {
    if (this.#outgoing.size >= WAITING_MAX) return failed(tooManyWait());
    const value =
      this.#connected === undefined ? (): Promise<Outgoing> => this.connect().then(outgoing) : outgoing;
    return this.#outgoing.push(value, publish, failed);
  }

  #context(): Parameters<typeof outgoingEvent>[1] {
    return {
      wire: this.#wire,
      queue: this.#options.handlers.queue,
      nowMs: this.#options.clock.now(),
      routeOf: (pattern) => this.normalizePattern(pattern),
    };
  }

  #warnUnheard(pattern: string): void {
    if (this.#unheard.has(pattern) || this.#unheard.size >= UNHEARD_PATTERNS_MAX) return;
    this.#unheard.add(pattern);
    this.#logger.warn(
      `No service has ever subscribed to '${pattern}', so such events are not kept. Start a service that handles it before it is emitted; if this is one, its server is not connected (connectMicroservice), or the pattern is another.`,
    );
  }

  // ---------------------------------------------------------------- requests

  /**
   * Sends the request each time somebody subscribes. The Observable gives each value of the answer, and completes with it;
   * to unsubscribe is to wait no longer.
   */
  override send<R = unknown, I = unknown>(pattern: unknown, data: I): Observable<R> {
    // Nest's own way to refuse.
    if (isNil(pattern) || isNil(data)) return super.send(pattern, data);
    // Not connected first, as Nest's own does it: a request waits from now on, also for the connection.
    return new Observable((observer) =>
      this.publish(this.createPacket(pattern, data), this.createObserver(observer)),
    );
  }

  /** Returns what makes nobody wait for the answer any more; a request that has not gone out yet does not go then. */
  protected override publish(packet: ReadPacket, callback: Callback): () => void {
    try {
      return this.#request(packet, callback);
    } catch (err) {
      callback({ err });
      return () => {};
    }
  }

  #request(packet: ReadPacket, callback: Callback): () => void {
    const { timeout, correlationId = randomUUID() } = recordIn(packet.data)?.options ?? {};
    const pattern = this.normalizePattern(packet.pattern as MsPattern);
    const timeoutMs = millisecondsOf(timeout) ?? this.#options.requestTimeoutMs;
    if (this.#held.size >= WAITING_MAX) throw tooManyWait();
    const timedOut = (): Error => {
      this.#held.delete(correlationId);
      return this.#isAway ? stillAway(timeoutMs) : new QueueTimeoutException(pattern, timeoutMs);
    };
    this.#pending.add(correlationId, { timeoutMs, timedOut, callback });
    const expiresAt = timeoutMs === 0 ? undefined : this.#options.clock.now() + timeoutMs;
    const send = (): void => this.#sendRequest(packet, correlationId, pattern, expiresAt);
    if (this.#isAway) this.#held.set(correlationId, send);
    else send();
    return () => {
      this.#held.delete(correlationId);
      this.#pending.remove(correlationId);
    };
  }

  #sendRequest(
    packet: ReadPacket,
    correlationId: string,
    pattern: string,
    expiresAt: number | undefined,
  ): void {
    if (!this.#pending.has(correlationId)) return;
    this.#whenConnected(
      () => {
        const replyTo = this.#requireSession().replies.address;
        return outgoingRequest(packet, { replyTo, correlationId }, this.#context(), expiresAt);
      },
      ({ message, options }) => {
        if (!this.#pending.has(correlationId)) return;
        const onPublished = (error?: Error): void => {
          if (error !== undefined) this.#pending.fail(correlationId, namingPattern(error, pattern));
        };
        this.#publish(this.#requireSession().link, message, onPublished, options);
      },
      (error) => this.#pending.fail(correlationId, error),
    );
  }

  #requireSession(): Session {
    if (this.#connected === undefined) throw new QueueClosedException();
    return this.#connected;
  }

  #onReply(message: Message): void {
    const { correlationId = '' } = message.properties;
    this.#pending.onReply(correlationId, () => readReply(message, this.#wire.format, this.#wire));
  }
}

function isNil(value: unknown): boolean {
  return value === undefined || value === null;
}
