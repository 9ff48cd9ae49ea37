import { randomBytes } from 'node:crypto';
import type { Message } from './message/message.js';
import { assertStorable } from './store/storable.js';
import type { Turn } from './turns.js';

/** A requester names this as `reply-to`; replies go to a name of its own that starts with it (rabbitmq.com/direct-reply-to). */
export const REPLY_TO = 'amq.rabbitmq.reply-to';
const PREFIX = `${REPLY_TO}.`;

/** Of {@link Connection.consumeReplies}. */
export interface ReplyConsumerInit {
  /** Called for each reply, on a turn of its own; must not throw. */
  readonly onReply: (message: Message) => void;
  /** When it says no, a reply goes nowhere. @default always yes */
  readonly mayDeliver?: (() => boolean) | undefined;
}

/** Who takes replies that no queue and no store ever holds. */
export class ReplyConsumer implements Turn {
  /** Where to send replies, through the default exchange. */
  readonly name: string = PREFIX + randomBytes(16).toString('base64url');
  readonly #init: ReplyConsumerInit;
  readonly #schedule: (turn: Turn) => void;
  #replies: Message[] = [];

  constructor(init: ReplyConsumerInit, schedule: (turn: Turn) => void) {
    this.#init = init;
    this.#schedule = schedule;
  }

  /** Returns false when it takes none now. */
  take(reply: Message): boolean {
    if (this.#init.mayDeliver?.() === false) return false;
    if (this.#replies.push(reply) === 1) this.#schedule(this);
    return true;
  }

  /** @internal Hands over what has come. */
  turn(): void {
    const replies = this.#replies;
    this.#replies = [];
    for (const reply of replies) this.#init.onReply(reply);
  }

  /** What is on its way to it is dropped. */
  end(): void {
    this.#replies = [];
  }
}

/** Those of a virtual host. */
export class ReplyConsumers {
  readonly #schedule: (turn: Turn) => void;
  readonly #byName = new Map<string, ReplyConsumer>();

  /** `schedule` gives a turn soon. */
  constructor(schedule: (turn: Turn) => void) {
    this.#schedule = schedule;
  }

  add(init: ReplyConsumerInit): ReplyConsumer {
    const consumer = new ReplyConsumer(init, this.#schedule);
    this.#byName.set(consumer.name, consumer);
    return consumer;
  }

  /** Idempotent. */
  remove(consumer: ReplyConsumer): void {
    this.#byName.delete(consumer.name);
    consumer.end();
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Hands a message over to those that its keys name. Returns whether one has taken it. Throws MESSAGE_TOO_LARGE. */
  deliver(keys: readonly string[], message: Message): boolean {
    let isTaken = false;
    for (const key of new Set(keys)) {
      const consumer = key.startsWith(PREFIX) ? this.#byName.get(key) : undefined;
      if (consumer === undefined) continue;
      // No store sees it, but it is bounded as all others are.
      assertStorable(message, 1);
      if (consumer.take(message)) isTaken = true;
    }
    return isTaken;
  }
}
