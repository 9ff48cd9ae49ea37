import { randomUUID } from 'node:crypto';
import { DELIVERY_MODE_PERSISTENT, type Message, type Timer } from '@nestmq/broker';
import type { Encoded } from '../envelope.js';
import { describeError } from '../describe-error.js';
import type { ScheduleOptions } from '../handler.options.js';
import type { ForwardedMessage, LinkDelivery, Subscription } from '../links/link.js';
import { headersFor } from './address.js';
import type { Background, BackgroundInit } from './background.js';
import { type CronTimes, timesOf } from '../cron-times.js';
import type { RegisteredHandler } from './handler-table.js';
import { published } from './published.js';
import { serializedPacket } from '../wire/serialized.js';
import { merged, readToken, type SeenTo, tokenMessage, withoutForgotten } from './schedule-token.js';

/**
 * The clock is looked at this often at least, since it may be set: a timer alone would keep to the old time. Milliseconds.
 */
const WAKE_MS_MAX = 60_000;
/** The token is written anew this often at least: RabbitMQ takes back what is unsettled for 30 minutes. Milliseconds. */
const RENEW_MS = 600_000;
/** How long the leader waits when the broker has failed. Milliseconds. */
const BROKER_FAILURE_PAUSE_MS = 1000;
/** How long a firing waits that its queue did not take (it is full, or gone); others go on meanwhile. Milliseconds. */
const FIRING_FAILURE_PAUSE_MS = 10_000;
/** What was seen to further in the future was seen to by a clock that was wrong. Milliseconds. */
const CLOCK_SKEW_MS_MAX = 3_600_000;

interface Schedule {
  /** The same in the whole fleet; another one when its times change, so that it starts afresh. */
  readonly key: string;
  readonly queue: string;
  readonly handler: RegisteredHandler;
  readonly times: CronTimes;
  readonly missed: ScheduleOptions['missed'];
}

interface Firing {
  readonly schedule: Schedule;
  readonly at: number;
}

/**
 * The events of handlers with a `schedule`, each once in the whole fleet.
 *
 * The queue `QUEUE.schedule` holds one message, the token, and has one active consumer at a time. Who holds the token,
 * unsettled, is the leader and keeps the time. A firing settles the token by two messages: the event in its handler's own
 * queue, and the token written anew, which says up to when each schedule has been seen to. A leader that is gone leaves
 * the token to the next one, which reads there what was missed. Tokens may be doubled, never lost: the leader makes one of
 * them before it fires anything.
 */
export class Schedules implements Background {
  readonly #init: BackgroundInit;
  readonly #queue: string;
  readonly #schedules: readonly Schedule[];
  #seenTo: SeenTo = new Map();
  #subscription: Subscription | undefined;
  /** In hand: this instance is the leader. */
  #token: LinkDelivery | undefined;
  /** The token that was written here and has not come yet. */
  #awaited: string | undefined;
  /** Other tokens, which go when what they say has been written. */
  #doubles: LinkDelivery[] = [];
  /** Schedules whose firing has failed, and until when they wait. */
  readonly #pausedUntil = new Map<string, number>();
  #timer: Timer | undefined;
  #leaderSince = 0;
  #writtenAt = 0;

  constructor(init: BackgroundInit) {
    this.#init = init;
    this.#queue = `${init.queue}.schedule`;
    this.#schedules = init.queues.flatMap(({ queue, all }) =>
      all.flatMap((handler) => scheduleOf(queue, handler)),
    );
  }

  async declare(): Promise<void> {
    if (this.#schedules.length > 0)
      await this.#init.declareQueue(this.#queue, { singleActiveConsumer: true });
  }

  async start(): Promise<void> {
    if (this.#schedules.length === 0) return;
    const link = this.#init.link();
    // Some brokers do not tell what is unsettled: then there may be two tokens now, which does no harm.
    const state = await link.queueState(this.#queue);
    if (state?.ready === 0 && (state.unsettled ?? 0) === 0)
      await published(link, tokenMessage(this.#queue, { id: '', seenTo: new Map() }));
    this.#subscription = await link.consume(this.#queue, {
      prefetchCount: 0,
      noAck: false,
      onDelivery: (token) => this.#onToken(token),
      onLost: () => this.onDisconnected(),
      onCancel: () => this.#onCancel(),
    });
  }

  onReconnected(): void {
    // The token comes by itself, to the one or the other.
  }

  onDisconnected(): void {
    this.#timer?.cancel();
    this.#token = undefined;
    this.#awaited = undefined;
    this.#doubles = [];
  }

  stop(): void {
    this.#subscription?.cancel();
    this.#subscription = undefined;
    for (const token of [this.#token, ...this.#doubles]) token?.requeue({ failed: false });
    this.onDisconnected();
  }

  #onCancel(): void {
    this.onDisconnected();
    this.#init.report(
      new Error(
        `The queue '${this.#queue}' was deleted: nothing is emitted by schedule. Restart the service: it declares its queues anew.`,
      ),
    );
  }

  #onToken(token: LinkDelivery): void {
    const { id, seenTo } = readToken(token.message.body);
    this.#seenTo = merged(this.#seenTo, seenTo);
    if (id !== '' && id === this.#awaited) {
      this.#awaited = undefined;
      this.#token = token;
      this.#goOn();
    } else if (this.#token === undefined && this.#awaited === undefined) {
      this.#leaderSince = this.#init.clock.now();
      // Written anew it comes after all others that are there.
      void this.#write(token);
    } else {
      this.#doubles.push(token);
      if (this.#token !== undefined) this.#goOn();
    }
  }

  /** With the token in hand: does what is due, and waits for what comes next. */
  #goOn(): void {
    this.#timer?.cancel();
    const token = this.#token;
    if (token === undefined) return;
    // Its connection was lost, or closed without a drain.
    if (token.settled) return this.onDisconnected();
    const nowMs = this.#init.clock.now();
    const hasNew = this.#beginNew(nowMs);
    const firing = this.#firstDue(nowMs);
    const isOld = nowMs - this.#writtenAt >= RENEW_MS;
    if (hasNew || firing !== undefined || this.#doubles.length > 0 || isOld) void this.#write(token, firing);
    else this.#timer = this.#init.clock.setTimer(this.#untilNext(nowMs), () => this.#goOn());
  }

  /** Schedules that no token tells of begin now; so do those that a wrong clock has moved on. Returns whether there were any. */
  #beginNew(nowMs: number): boolean {
    const begun = this.#schedules.filter(({ key }) => {
      const seenToMs = this.#seenTo.get(key);
      return seenToMs === undefined || seenToMs > nowMs + CLOCK_SKEW_MS_MAX;
    });
    if (begun.length === 0) return false;
    this.#seenTo = new Map([...this.#seenTo, ...begun.map(({ key }) => [key, nowMs] as const)]);
    return true;
  }

  /** One at a time, so that what one queue does not take does not hold up the others. */
  #firstDue(nowMs: number): Firing | undefined {
    for (const schedule of this.#schedules) {
      if ((this.#pausedUntil.get(schedule.key) ?? nowMs) > nowMs) continue;
      const at = this.#due(schedule, nowMs);
      if (at !== undefined) return { schedule, at };
    }
    return undefined;
  }

  /** However many times were missed, there is one firing, for the last of them. */
  #due({ key, times, missed }: Schedule, nowMs: number): number | undefined {
    const at = times.last(this.#seenTo.get(key) ?? nowMs, nowMs);
    return at !== undefined && missed === 'skip' && at <= this.#leaderSince ? undefined : at;
  }

  #untilNext(nowMs: number): number {
    const next = this.#schedules.flatMap(({ key, times }) => [
      times.after(nowMs) ?? Number.POSITIVE_INFINITY,
      this.#pausedUntil.get(key) ?? Number.POSITIVE_INFINITY,
    ]);
    return Math.min(...next.filter((at) => at > nowMs).map((at) => at - nowMs), WAKE_MS_MAX);
  }

  /** Never rejects. */
  async #write(token: LinkDelivery, firing?: Firing): Promise<void> {
    const { clock, link, report } = this.#init;
    const id = randomUUID();
    const doubles = this.#doubles;
    this.#token = undefined;
    this.#awaited = id;
    this.#doubles = [];
    this.#writtenAt = clock.now();
    try {
      const events = firing === undefined ? [] : [await this.#eventOf(firing)];
      await link().forward(token, [
        ...events,
        tokenMessage(this.#queue, { id, seenTo: this.#after(firing) }),
      ]);
      for (const double of doubles) double.ack();
    } catch (error) {
      if (this.#subscription === undefined) return;
      report(firing === undefined ? error : notTaken(firing, error));
      if (firing !== undefined)
        this.#pausedUntil.set(firing.schedule.key, clock.now() + FIRING_FAILURE_PAUSE_MS);
      if (this.#awaited !== id || token.settled) return;
      this.#doubles.push(...doubles);
      // It may be the firing alone that failed.
      if (firing !== undefined) return this.#write(token);
      this.#timer = clock.setTimer(BROKER_FAILURE_PAUSE_MS, () => {
        if (this.#awaited === id) void this.#write(token);
      });
    }
  }

  #after(firing: Firing | undefined): SeenTo {
    const fired: SeenTo = new Map(firing === undefined ? [] : [[firing.schedule.key, firing.at]]);
    const known = new Set(this.#schedules.map(({ key }) => key));
    return withoutForgotten(merged(this.#seenTo, fired), known, this.#init.clock.now());
  }

  /** For this handler alone, whoever else handles its pattern. */
  async #eventOf({ schedule: { handler, queue }, at }: Firing): Promise<ForwardedMessage> {
    const scheduledAt = new Date(at).toISOString();
    const { pattern, id } = handler;
    const encoded = await this.#encode(pattern, { scheduledAt, pattern });
    const properties: Message['properties'] = {
      ...encoded.properties,
      deliveryMode: DELIVERY_MODE_PERSISTENT,
      messageId: `schedule:${queue}:${id}:${scheduledAt}`,
      timestamp: Math.floor(this.#init.clock.now() / 1000),
    };
    const message: Message = { exchange: '', routingKey: queue, properties, body: encoded.body };
    const origin = { kind: 'event', pattern, replyFormat: 'nestmq' } as const;
    const progress = { attempts: 0, handlers: [id], dueAt: undefined };
    return { ...message, properties: { ...properties, headers: headersFor(message, origin, progress) } };
  }

  /** As a client does it. */
  async #encode(pattern: string, data: unknown): Promise<Encoded> {
    const { wire } = this.#init;
    if (wire.serializer === undefined) return wire.encode(data);
    return wire.encode((await serializedPacket(wire.serializer, { pattern, data })).data);
  }
}

function scheduleOf(queue: string, handler: RegisteredHandler): readonly Schedule[] {
  const { schedule } = handler.policy;
  if (schedule === undefined) return [];
  const { cron, timeZone, missed } = schedule;
  const key = [queue, handler.id, cron, timeZone].join(' ');
  return [{ key, queue, handler, times: timesOf(cron, timeZone), missed }];
}

function notTaken({ schedule: { queue, handler }, at }: Firing, cause: unknown): Error {
  const when = new Date(at).toISOString();
  return new Error(
    `The event of ${when} for '${handler.pattern}' can't be put into the queue '${queue}' (${describeError(cause)}); it is tried again.`,
    { cause },
  );
}
