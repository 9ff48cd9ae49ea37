import { BrokerError, type Clock, type Message, type Timer } from '@nestmq/broker';
import { NoHandlerException, QueueUnavailableException } from '../queue.exceptions.js';
import {
  AmqpConfirms,
  type AmqpPublishOptions,
  type Confirmation,
  type ConfirmsListener,
  type Outgoing,
} from './amqp-confirms.js';
import type { AmqpError } from './amqp-errors.js';
import { NackedPublishes } from './amqp-nacked.js';
import type { NormalisedAmqpOptions } from './amqp-options.js';
import type { AmqpSession } from './amqp-session.js';
import { expiredInLink, expiring, isExpired } from './expiring.js';
import type { PublishCallback } from './link.js';

/** Sent and not confirmed. More would only fill the memory of this process, so it waits. Bytes of bodies. */
const UNCONFIRMED_BYTES_MAX = 64 * 1024 * 1024;
/** So many as well, since a small message takes 3 KiB until it is confirmed, with what its caller keeps. */
const UNCONFIRMED_MAX = 50_000;
/** So long a publish is repeated that the broker nacks: electing a leader takes seconds. Milliseconds. */
const NACKED_MS_MAX = 10_000;

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
  readonly #nacked: NackedPublishes;
  /** The channel of now, and those before that have unconfirmed ones. */
  readonly #channels = new Set<AmqpConfirms>();
  #channel: AmqpConfirms | undefined;
  #waiting: Outgoing[] = [];
  /** So many of the first that wait are sent one at a time: the broker has closed the channel because of one of them. */
  #suspects = 0;
  #sequence = 0;
  #session: AmqpSession | undefined;
  #blocked: string | undefined;
  #away: Error | undefined;
  #ended: Error | undefined;
  #timer: Timer | undefined;

  constructor(init: PublisherInit) {
    this.#init = init;
    this.#nacked = new NackedPublishes(init.clock, (publishes) => void this.#repeat(publishes));
  }

  /** Why publishes wait, if so. */
  get blocked(): string | undefined {
    return this.#ended?.message ?? this.#away?.message ?? this.#blocked;
  }

  /** Resolves when it can publish. Rejects when the session ends before. */
  async attach(session: AmqpSession): Promise<void> {
    const channel = await AmqpConfirms.open(session, this.#listener);
    this.#channels.add(channel);
    this.#session = session;
    this.#channel = channel;
    this.#away = undefined;
    this.#send();
  }

  /** The session has ended; its channels close by and by. */
  detach(reason: Error): void {
    this.#session = undefined;
    this.#channel = undefined;
    this.#sendAgain([...this.#channels].flatMap((channel) => channel.forgetAll()));
    this.#channels.clear();
    this.#away = reason;
    this.#blocked = undefined;
    this.#arm();
  }

  block(reason: string | undefined): void {
    this.#blocked = reason;
    if (reason !== undefined) return;
    const now = this.#init.clock.now();
    for (const publish of this.#all()) publish.since = now;
    this.#arm();
    this.#send();
  }

  /** There will be no session any more. */
  end(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    const all = this.#all();
    for (const channel of this.#channels) channel.forgetAll();
    this.#waiting = [];
    this.#nacked.takeAll();
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
    const since = this.#init.clock.now();
    const publish = { ...options, message, sequence: this.#sequence++, done, since, nackedAt: undefined };
    const isHeld = this.#nacked.holds(message);
    const isNext = this.#waiting.length === 0 && this.#blocked === undefined;
    if (!isHeld && (isNext || options.settles === true) && this.#maySend()) this.#sendNow(publish);
    else {
      this.#assertRoom(options);
      if (isHeld) this.#nacked.add(publish);
      else this.#waiting.push(publish);
    }
    this.#arm();
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
    if (settles === true || this.#waiting.length + this.#nacked.count < maxWaiting) return;
    throw new QueueUnavailableException(
      `${maxWaiting} publishes wait already: ${this.blocked ?? 'the broker confirms too slowly'}.`,
    );
  }

  /** Resolves when all that was published before has come to its end. */
  async settled(): Promise<void> {
    const ends = this.#all().map(
      (publish) =>
        new Promise<void>((resolve) => {
          const { done } = publish;
          publish.done = (error, unroutable) => {
            done(error, unroutable);
            resolve();
          };
        }),
    );
    await Promise.all(ends);
  }

  #all(): Outgoing[] {
    const unconfirmed = [...this.#channels].flatMap((channel) => channel.all());
    return [...unconfirmed, ...this.#nacked.all(), ...this.#waiting];
  }

  #maySend(): boolean {
    if (this.#channel === undefined) return false;
    const { bytes, count } = this.#channel;
    if (bytes >= UNCONFIRMED_BYTES_MAX || count >= UNCONFIRMED_MAX) return false;
    return this.#suspects === 0 || count === 0;
  }

  #send(): void {
    while (this.#blocked === undefined && this.#waiting.length > 0 && this.#maySend()) {
      const next = this.#waiting.shift() as Outgoing;
      if (isExpired(next, this.#init.clock.now())) this.#drop(next);
      else this.#sendNow(next);
    }
    this.#arm();
  }

  #sendNow(publish: Outgoing): void {
    this.#channel?.send(publish, expiring(publish.message, publish, this.#init.clock.now()));
  }

  #drop({ done }: Outgoing): void {
    if (this.#suspects > 0) this.#suspects--;
    done(expiredInLink());
  }

  readonly #listener: ConfirmsListener = {
    onConfirmed: (publish, confirmation) => {
      if (confirmation === 'nacked') this.#onNacked(publish);
      else this.#onTaken(publish, confirmation);
      this.#onGone();
    },
    onUnsendable: (publish, error) => {
      publish.done(error);
      this.#onGone();
    },
    onClosed: (channel, unconfirmed, refusal) => {
      this.#channels.delete(channel);
      if (refusal === undefined) this.#sendAgain(unconfirmed);
      else this.#onRefused(unconfirmed, refusal);
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      // When the connection is lost its channels close first.
      queueMicrotask(() => void this.#reopen());
    },
  };

  /** In the order in which they were published; channels close in any. */
  #waitFirst(publishes: readonly Outgoing[]): void {
    this.#waiting = [...publishes, ...this.#waiting].toSorted((a, b) => a.sequence - b.sequence);
  }

  /** There is room for another one. */
  #onGone(): void {
    if (this.#suspects > 0) this.#suspects--;
    if (this.#waiting.length > 0) this.#send();
  }

  #onTaken({ done, mandatory, message, nackedAt }: Outgoing, confirmation: Confirmation): void {
    if (nackedAt !== undefined) this.#nacked.onTaken();
    if (confirmation === 'routed') done();
    else if (mandatory === true) done(new NoHandlerException(message.routingKey));
    else done(undefined, true);
  }

  #onNacked(publish: Outgoing): void {
    const { clock, options } = this.#init;
    publish.nackedAt ??= clock.now();
    if (clock.now() - publish.nackedAt < Math.min(NACKED_MS_MAX, options.publishTimeoutMs))
      this.#nacked.add(publish);
    else publish.done(nacked(publish.message));
  }

  /**
   * On another channel: one of RabbitMQ 3.10 that published to a quorum queue first while that had no leader nacks whatever
   * goes there from then on.
   */
  async #repeat(publishes: readonly Outgoing[]): Promise<void> {
    this.#waitFirst(publishes);
    const before = this.#channel;
    if (before === undefined) return;
    this.#channel = undefined;
    await this.#reopen();
    before.retire();
  }

  #sendAgain(unconfirmed: readonly Outgoing[]): void {
    const again = unconfirmed.filter(({ once }) => once !== true);
    this.#suspects = Math.max(0, this.#suspects - (unconfirmed.length - again.length));
    this.#waitFirst(again);
    const lost = 'The connection was lost; the message that was to be settled comes again.';
    for (const { once, done } of unconfirmed) if (once === true) done(new QueueUnavailableException(lost));
  }

  /** It does not say which of them it refuses. */
  #onRefused(unconfirmed: readonly Outgoing[], refusal: AmqpError): void {
    const [only] = unconfirmed;
    if (only === undefined) return this.#init.onError(refusal);
    if (unconfirmed.length > 1) {
      this.#waitFirst(unconfirmed);
      this.#suspects = Math.max(this.#suspects, unconfirmed.length);
      return undefined;
    }
    this.#suspects = Math.max(0, this.#suspects - 1);
    return only.done(refusal);
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
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    const { clock, options } = this.#init;
    const left = Math.max(0, oldest.since + options.publishTimeoutMs - clock.now());
    this.#timer = clock.setTimer(left, () => {
      this.#timer = undefined;
      if (this.#blocked === undefined) this.#expire();
      this.#arm();
    });
  }

  #oldest(): Outgoing | undefined {
    for (const channel of this.#channels) if (channel.count > 0) return channel.oldest();
    return this.#nacked.all()[0] ?? this.#waiting[0];
  }

  #expire(): void {
    const { clock, options } = this.#init;
    const latest = clock.now() - options.publishTimeoutMs;
    const isLate = ({ since }: Outgoing): boolean => since <= latest;
    const within = `within ${options.publishTimeoutMs} ms`;
    for (const channel of this.#channels) {
      for (const publish of channel.all().filter(isLate)) {
        channel.forget(publish);
        publish.done(
          new QueueUnavailableException(
            `It was published, but not confirmed ${within}; the broker may have it or not.`,
          ),
        );
      }
    }
    const waiting = [...this.#nacked.takeAll(), ...this.#waiting];
    this.#waiting = waiting.filter((publish) => !isLate(publish));
    const why = this.blocked ?? 'the broker confirms too slowly';
    for (const { done } of waiting.filter(isLate))
      done(new QueueUnavailableException(`It could not be published ${within}: ${why}`));
    this.#send();
  }
}

function nacked({ exchange, routingKey }: Message): BrokerError {
  const what = `A queue that '${exchange}' leads to for '${routingKey}' is full, or out of the broker's reach.`;
  return new BrokerError('REJECTED', what, { cure: 'Publish again when its consumers have caught up.' });
}
