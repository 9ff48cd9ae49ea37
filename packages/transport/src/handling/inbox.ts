import { createHash } from 'node:crypto';
import { DELIVERY_MODE_PERSISTENT, type FieldValue, type Message } from '@nestmq/broker';
import type { ForwardedMessage } from '../links/link.js';
import type { Background, BackgroundInit } from './background.js';
import { Claims } from './claims.js';
import type { QueueHandlers, RegisteredHandler } from './handler-table.js';
import { InboxMemory } from './inbox-memory.js';
import { DONE, REQUEUE } from './outcome.js';
import { inTurn } from './turn.js';
import type { Run, Work } from './work.js';

/** What instances tell each other: bound by the routing keys of inboxes, see {@link routingKeyOf}. */
const INBOX_EXCHANGE = 'nestmq.inbox';
/** When a message was handled, in milliseconds since the epoch. */
const HANDLED_AT = 'x-nestmq-handled-at';

/** How long an instance waits that could not read what is remembered. Milliseconds. */
const LOAD_FAILURE_PAUSE_MS = 1000;
/** AMQP 0-9-1, short string. Bytes. */
const QUEUE_NAME_BYTES_MAX = 255;

/**
 * Not a quorum queue: to read one without taking anything out costs a consensus for each message. RabbitMQ 3.10 took 200
 * seconds for 20,000 of them, and 4 seconds with a classic queue.
 */
const CLASSIC = { 'x-queue-type': 'classic' } as const;

interface HandlerInbox {
  readonly queue: string;
  readonly routingKey: string;
  readonly max: number;
  readonly windowMs: number;
  readonly memory: InboxMemory;
}

/**
 * What handlers with `deduplication` are done with, by message id: it is not handed to them again.
 *
 * A success settles its delivery by an entry in the handler's own inbox queue, which keeps the latest of them; embedded
 * brokers do both in one commit. Each instance reads those queues when it starts and when it reconnects, one after the
 * other, and hears of what others add meanwhile by {@link INBOX_EXCHANGE}. Two copies in one instance come one after
 * the other. Not prevented: two instances that handle two copies at the same moment, and a crash between the end of a
 * handler and its entry.
 */
export class Inbox implements Background {
  readonly #init: BackgroundInit;
  readonly #turnQueue: string;
  readonly #inboxes = new Map<RegisteredHandler, HandlerInbox>();
  readonly #byKey = new Map<string, HandlerInbox>();
  readonly #claims = new Claims<Work>();
  #onLoaded: (() => void)[] = [];
  #isLoaded = false;
  #isStopped = false;
  /** Readings that were begun before do not count any more. */
  #reading = 0;
  #duplicateCount = 0;

  constructor(init: BackgroundInit) {
    this.#init = init;
    this.#turnQueue = `${init.queue}.inbox`;
    for (const { queue, all } of init.queues) {
      for (const handler of all) this.#add(queue, handler);
    }
  }

  #add(queue: string, handler: RegisteredHandler): void {
    const { deduplication } = handler.policy;
    if (deduplication === undefined) return;
    const { windowMs, max } = deduplication;
    const name = inboxQueueOf(queue, handler.id);
    const routingKey = routingKeyOf(name);
    const memory = new InboxMemory({ windowMs, max, clock: this.#init.clock });
    const inbox = { queue: name, routingKey, max, windowMs, memory };
    this.#inboxes.set(handler, inbox);
    this.#byKey.set(routingKey, inbox);
  }

  /** What was not handed to a handler since it has had it. */
  get duplicateCount(): number {
    return this.#duplicateCount;
  }

  concerns({ all }: QueueHandlers): boolean {
    return all.some((handler) => this.#inboxes.has(handler));
  }

  // ---------------------------------------------------------------- its life

  async declare(): Promise<void> {
    if (this.#inboxes.size === 0) return;
    const { declareQueue } = this.#init;
    const link = this.#init.link();
    await link.declareExchange(INBOX_EXCHANGE);
    await declareQueue(this.#turnQueue, { singleActiveConsumer: true, arguments: CLASSIC });
    for (const { queue, routingKey, max, windowMs } of this.#inboxes.values()) {
      await declareQueue(queue, {
        arguments: { ...CLASSIC, 'x-message-ttl': windowMs, 'x-max-length': max },
      });
      await link.bindQueue(queue, INBOX_EXCHANGE, routingKey);
    }
  }

  async start(): Promise<void> {
    if (this.#inboxes.size === 0) return;
    const link = this.#init.link();
    const own = await link.declareOwnQueue();
    for (const { routingKey } of this.#inboxes.values())
      await link.bindQueue(own, INBOX_EXCHANGE, routingKey);
    await link.consume(own, {
      prefetchCount: 0,
      noAck: true,
      onDelivery: ({ message }) => this.#remember(message),
      onCancel: () =>
        this.#init.report(
          new Error(
            'The queue was deleted by which this instance hears what others have handled. Restart the service.',
          ),
        ),
    });
    await this.#load();
  }

  /** Others go on, and what they tell does not come here. */
  onDisconnected(): void {
    this.#reading++;
    this.#isLoaded = false;
  }

  onReconnected(): void {
    if (this.#inboxes.size > 0 && !this.#isStopped) void this.#reload();
  }

  async #reload(): Promise<void> {
    const reading = this.#reading;
    try {
      await this.#load();
    } catch (error) {
      if (this.#isStopped || reading !== this.#reading) return;
      this.#init.report(error);
      this.#init.clock.setTimer(LOAD_FAILURE_PAUSE_MS, () => {
        if (reading === this.#reading) this.onReconnected();
      });
    }
  }

  async #load(): Promise<void> {
    const reading = this.#reading;
    const link = this.#init.link();
    await inTurn(link, this.#turnQueue, async () => {
      for (const { queue, max } of this.#inboxes.values())
        for (const message of await link.peek(queue, max)) this.#remember(message);
    });
    if (reading !== this.#reading) return;
    this.#isLoaded = true;
    this.#wakeLoaded();
  }

  #wakeLoaded(): void {
    for (const resolve of this.#onLoaded.splice(0)) resolve();
  }

  /** What waits to be handled goes back. */
  stop(): void {
    this.#isStopped = true;
    this.#wakeLoaded();
    this.#claims.wake();
  }

  #remember({ routingKey, properties: { messageId, headers = {} } }: Message): void {
    const handledAt = Number(headers[HANDLED_AT]);
    if (messageId === undefined || !Number.isFinite(handledAt)) return;
    this.#byKey.get(routingKey)?.memory.add(messageId, handledAt, true);
  }

  // ---------------------------------------------------------------- messages

  /**
   * Before its handlers run: settles the runs of those that have had the message, as done. Where there is nothing to wait
   * for it is done when this returns, so that messages keep their order; else it waits until nobody else here is busy with
   * the same. A message without an id is nobody's duplicate.
   */
  admit(work: Work, from = 0): Promise<void> | void {
    if (!this.#isLoaded && !this.#isStopped) return this.#loaded().then(() => this.admit(work, from));
    const { messageId = '' } = work.delivery.message.properties;
    if (messageId === '') return undefined;
    for (let i = from; i < work.runs.length; i++) {
      const busy = this.#admit(work.runs[i] as Run, messageId);
      if (busy !== undefined) return this.#claims.change(busy).then(() => this.admit(work, i));
    }
    return undefined;
  }

  #loaded(): Promise<void> {
    return new Promise((resolve) => {
      this.#onLoaded.push(resolve);
    });
  }

  /** Returns what is to be waited for. */
  #admit(run: Run, messageId: string): string | undefined {
    const inbox = this.#inboxes.get(run.handler);
    if (inbox === undefined) return undefined;
    if (inbox.memory.has(messageId)) {
      this.#skip(run, messageId);
      return undefined;
    }
    const claim = `${inbox.routingKey} ${messageId}`;
    if (this.#isLoaded && this.#claims.take(claim, run.work)) return undefined;
    if (!this.#isStopped) return claim;
    run.settle(REQUEUE);
    return undefined;
  }

  #skip(run: Run, messageId: string): void {
    this.#duplicateCount++;
    this.#init.logger.debug?.(
      `'${run.work.received.pattern}' ${messageId} is a duplicate: its handler ${run.handler.id} has had it.`,
    );
    run.settle(DONE);
  }

  /** Remembers what these runs are done with; returns what their delivery is to be settled by, so that others do. */
  entriesFor({ delivery, runs }: Work): readonly ForwardedMessage[] {
    const { messageId = '' } = delivery.message.properties;
    if (messageId === '') return [];
    const handledAt = this.#init.clock.now();
    return runs.flatMap((run) => {
      const inbox = this.#inboxes.get(run.handler);
      if (inbox === undefined || run.outcome?.kind !== 'done') return [];
      inbox.memory.add(messageId, handledAt, false);
      return inbox.memory.isWritten(messageId) ? [] : [entry(inbox, messageId, handledAt)];
    });
  }

  /** It is settled: others who wait for it may go on. */
  release(work: Work): void {
    this.#claims.giveBack(work);
  }
}

function entry({ routingKey }: HandlerInbox, messageId: string, handledAt: number): ForwardedMessage {
  const headers = { [HANDLED_AT]: handledAt satisfies FieldValue };
  const properties = { messageId, deliveryMode: DELIVERY_MODE_PERSISTENT, headers };
  return { exchange: INBOX_EXCHANGE, routingKey, properties, body: Buffer.alloc(0) };
}

/** A handler's inbox queue; an id that is too long is known by its hash. */
export function inboxQueueOf(queue: string, handlerId: string): string {
  const name = `${queue}.inbox.${handlerId}`;
  if (Buffer.byteLength(routingKeyOf(name)) <= QUEUE_NAME_BYTES_MAX) return name;
  return `${queue}.inbox.${createHash('sha256').update(handlerId).digest('base64url').slice(0, 22)}`;
}

/** Of an inbox's entries. As a binding key it matches itself alone, whatever wildcards the handler's pattern has. */
export function routingKeyOf(queue: string): string {
  return queue.replaceAll('%', '%25').replaceAll('*', '%2A').replaceAll('#', '%23');
}
