import { BrokerError, type Clock, type Message, type Timer } from '@nestmq/broker';
import type { ConfirmChannel, Message as AmqplibMessage } from 'amqplib';
import { NoHandlerException, QueueUnavailableException } from '../queue.exceptions.js';
import { type AmqpError, amqpError } from './amqp-errors.js';
import { propertiesTo } from './amqp-fields.js';
import type { NormalisedAmqpOptions } from './amqp-options.js';
import type { AmqpSession } from './amqp-session.js';
import type { PublishCallback } from './link.js';

/** Sent and not confirmed. More would only fill the memory of this process, so it waits. Bytes of bodies. */
const UNCONFIRMED_BYTES_MAX = 64 * 1024 * 1024;

export interface AmqpPublishOptions {
  readonly mandatory?: boolean;
  readonly settles?: boolean;
  /** It settles a delivery that comes again when the connection is lost: then it is not published again, but fails. */
  readonly once?: boolean;
}

interface Entry extends AmqpPublishOptions {
  readonly message: Message;
  done: PublishCallback;
  /** Since when it waits. Milliseconds since the epoch. */
  since: number;
  returned: boolean;
}

export interface PublisherInit {
  readonly options: Pick<NormalisedAmqpOptions, 'publishTimeoutMs' | 'maxWaiting' | 'maxMessageSize'>;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
}

/**
 * Publishes with confirms, over one session after the other. What can't be sent waits, in order; what was not confirmed
 * when a connection is lost is sent again, before all others.
 */
export class AmqpPublisher {
  readonly #init: PublisherInit;
  readonly #unconfirmed = new Set<Entry>();
  #unconfirmedBytes = 0;
  #waiting: Entry[] = [];
  /** So many of the first that wait are sent one at a time: the broker has closed the channel because of one of them. */
  #suspects = 0;
  #session: AmqpSession | undefined;
  #channel: ConfirmChannel | undefined;
  #blocked: string | undefined;
  #away: Error | undefined;
  #ended: Error | undefined;
  #timer: Timer | undefined;

  constructor(init: PublisherInit) {
    this.#init = init;
  }

  /** Why publishes wait, if so. */
  get blocked(): string | undefined {
    return this.#ended?.message ?? this.#away?.message ?? this.#blocked;
  }

  /** Resolves when it can publish. Rejects when the session ends before. */
  async attach(session: AmqpSession): Promise<void> {
    const channel = await session.openPublishing();
    let refusal: AmqpError | undefined;
    channel.on('return', (returned) => this.#onReturned(returned));
    channel.on('error', (error) => {
      refusal = amqpError(error);
    });
    // Before amqplib itself fails what is unconfirmed: it is to be sent again.
    channel.prependListener('close', () => this.#onClosed(channel, refusal));
    this.#session = session;
    this.#away = undefined;
    this.#blocked = undefined;
    this.#channel = channel;
    this.#send();
  }

  /** The session has ended, after its channels have. */
  detach(reason: Error): void {
    this.#session = undefined;
    this.#away = reason;
    this.#blocked = undefined;
    this.#arm();
  }

  block(reason: string | undefined): void {
    this.#blocked = reason;
    if (reason !== undefined) return;
    const now = this.#init.clock.now();
    for (const entry of this.#all()) entry.since = now;
    this.#arm();
    this.#send();
  }

  /** There will be no session any more. */
  end(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    const all = this.#all();
    this.#unconfirmed.clear();
    this.#waiting = [];
    this.#timer?.cancel();
    for (const { done } of all) done(reason);
  }

  /**
   * `done` is called later, once. Throws MESSAGE_TOO_LARGE, QueueUnavailableException when too many wait, and the reason
   * once it has ended.
   */
  publish(message: Message, done: PublishCallback, options: AmqpPublishOptions = {}): void {
    this.assertSize(message.body);
    if (this.#ended !== undefined) throw this.#ended;
    const entry: Entry = { ...options, message, done, since: this.#init.clock.now(), returned: false };
    const isNext = this.#waiting.length === 0 && this.#blocked === undefined;
    if ((isNext || options.settles === true) && this.#maySend()) return this.#sendOne(entry);
    this.#assertRoom(options);
    this.#waiting.push(entry);
    return this.#arm();
  }

  assertSize(body: Buffer): void {
    const { maxMessageSize } = this.#init.options;
    if (body.length <= maxMessageSize) return;
    throw new BrokerError(
      'MESSAGE_TOO_LARGE',
      `A body of ${body.length} bytes is over the limit of ${maxMessageSize}.`,
      {
        cure: "Send less, or where it is elsewhere; or raise 'amqp.maxMessageSize' and the broker's own limit.",
      },
    );
  }

  #assertRoom({ settles }: AmqpPublishOptions): void {
    const { maxWaiting } = this.#init.options;
    if (settles === true || this.#waiting.length < maxWaiting) return;
    throw new QueueUnavailableException(
      `${maxWaiting} publishes wait already: ${this.blocked ?? 'the broker confirms too slowly'}.`,
    );
  }

  /** Resolves when all that was published before has come to its end. */
  async settled(): Promise<void> {
    const ends = this.#all().map(
      (entry) =>
        new Promise<void>((resolve) => {
          const { done } = entry;
          entry.done = (error, unroutable) => {
            done(error, unroutable);
            resolve();
          };
        }),
    );
    await Promise.all(ends);
  }

  #all(): Entry[] {
    return [...this.#unconfirmed, ...this.#waiting];
  }

  #maySend(): boolean {
    if (this.#channel === undefined || this.#unconfirmedBytes >= UNCONFIRMED_BYTES_MAX) return false;
    return this.#suspects === 0 || this.#unconfirmed.size === 0;
  }

  #send(): void {
    while (this.#blocked === undefined && this.#waiting.length > 0 && this.#maySend()) {
      this.#sendOne(this.#waiting.shift() as Entry);
    }
  }

  #sendOne(entry: Entry): void {
    const { exchange, routingKey, properties, body } = entry.message;
    // Always mandatory: the caller is told where it did not go.
    const options = { ...propertiesTo(properties), mandatory: true };
    entry.returned = false;
    this.#unconfirmed.add(entry);
    this.#unconfirmedBytes += body.length;
    try {
      this.#channel?.publish(exchange, routingKey, body, options, (error: unknown) =>
        this.#onConfirmed(entry, error),
      );
    } catch (error) {
      // What can't be encoded. Never before publish has returned.
      queueMicrotask(() => this.#finish(entry, error as Error));
    }
    this.#arm();
  }

  #onConfirmed(entry: Entry, error: unknown): void {
    const { exchange, routingKey } = entry.message;
    if (error !== null && error !== undefined) {
      const what = `A queue that '${exchange}' leads to for '${routingKey}' is full.`;
      const cure = 'Publish again when its consumers have caught up.';
      this.#finish(entry, new BrokerError('REJECTED', what, { cure }));
    } else if (!entry.returned) this.#finish(entry);
    else if (entry.mandatory === true) this.#finish(entry, new NoHandlerException(routingKey));
    else this.#finish(entry, undefined, true);
  }

  #finish(entry: Entry, error?: Error, unroutable?: boolean): void {
    // Sent again or given up meanwhile.
    if (!this.#unconfirmed.delete(entry)) return;
    this.#unconfirmedBytes -= entry.message.body.length;
    if (this.#suspects > 0) this.#suspects--;
    if (unroutable === true) entry.done(error, true);
    else entry.done(error);
    if (this.#waiting.length > 0) this.#send();
  }

  /** Comes before its confirm. Of messages that are alike in all, one is as good as the other. */
  #onReturned({ fields, properties, content }: AmqplibMessage): void {
    for (const entry of this.#unconfirmed) {
      const { message, returned } = entry;
      if (returned || message.routingKey !== fields.routingKey || message.exchange !== fields.exchange)
        continue;
      if (message.properties.messageId !== properties.messageId) continue;
      if (message.properties.correlationId !== properties.correlationId) continue;
      if (!message.body.equals(content)) continue;
      entry.returned = true;
      return;
    }
  }

  /** `refusal` is what the broker said; nothing when the connection was lost. */
  #onClosed(channel: ConfirmChannel, refusal: AmqpError | undefined): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    const unconfirmed = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    this.#unconfirmedBytes = 0;
    if (refusal === undefined) this.#sendLater(unconfirmed);
    else this.#onRefused(unconfirmed, refusal);
    // When the connection is lost its channels close first.
    queueMicrotask(() => void this.#reopen());
  }

  #sendLater(unconfirmed: readonly Entry[]): void {
    this.#suspects = Math.max(0, this.#suspects - unconfirmed.filter(({ once }) => once === true).length);
    this.#waiting.unshift(...unconfirmed.filter(({ once }) => once !== true));
    const lost = new QueueUnavailableException(
      'The connection was lost; the message that was to be settled comes again.',
    );
    for (const { done } of unconfirmed.filter(({ once }) => once === true)) done(lost);
  }

  /** It does not say which of them it refuses. */
  #onRefused(unconfirmed: readonly Entry[], refusal: AmqpError): void {
    const [only] = unconfirmed;
    if (only !== undefined && unconfirmed.length === 1) {
      this.#suspects = Math.max(0, this.#suspects - 1);
      only.done(refusal);
      return;
    }
    if (only === undefined) this.#init.onError(refusal);
    this.#waiting.unshift(...unconfirmed);
    this.#suspects = Math.max(this.#suspects, unconfirmed.length);
  }

  async #reopen(): Promise<void> {
    const session = this.#session;
    if (session === undefined || session.ended) return;
    try {
      await this.attach(session);
    } catch (error) {
      session.abandon(error as Error);
    }
  }

  /** One timer, for the one that waits longest. */
  #arm(): void {
    if (this.#timer !== undefined || this.#blocked !== undefined) return;
    const oldest = this.#unconfirmed.values().next().value ?? this.#waiting[0];
    if (oldest === undefined) return;
    const { clock, options } = this.#init;
    const left = Math.max(0, oldest.since + options.publishTimeoutMs - clock.now());
    this.#timer = clock.setTimer(left, () => {
      this.#timer = undefined;
      if (this.#blocked === undefined) this.#expire();
      this.#arm();
    });
  }

  #expire(): void {
    const { clock, options } = this.#init;
    const latest = clock.now() - options.publishTimeoutMs;
    const late = this.#all().filter(({ since }) => since <= latest);
    if (late.length === 0) return;
    const afterMs = `within ${options.publishTimeoutMs} ms`;
    const unsent = new QueueUnavailableException(
      `It could not be published ${afterMs}: ${this.blocked ?? ''}`,
    );
    const unconfirmed = new QueueUnavailableException(
      `It was published, but not confirmed ${afterMs}; the broker may have it or not.`,
    );
    this.#waiting = this.#waiting.filter(({ since }) => since > latest);
    for (const entry of late) {
      if (this.#unconfirmed.has(entry)) this.#finish(entry, unconfirmed);
      else entry.done(unsent);
    }
  }
}
