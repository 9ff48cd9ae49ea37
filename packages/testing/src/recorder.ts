import type { Message } from '@nestmq/broker';
import type {
  DeadLetterReason,
  QueueWitness,
  WitnessedArrival,
  WitnessedAttempt,
  WitnessedMessage,
  WitnessedPublish,
  WitnessedResult,
} from '@nestmq/transport';
import { Faults } from './faults.js';
import { parsed } from './received.js';
import type { HandledMessage, PublishedMessage, SeenMessage } from './seen.js';
import { errorText, Timeline } from './timeline.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Sees what happens to the messages of an application, and keeps it. */
export class Recorder implements QueueWitness {
  readonly #now: () => number;
  readonly #published: PublishedMessage[] = [];
  readonly #handled: HandledMessage[] = [];
  /** What came of attempts whose messages are not settled yet. */
  readonly #unsettled = new Map<object, HandledMessage[]>();
  readonly #watchers = new Set<() => void>();
  readonly timeline: Timeline = new Timeline();
  readonly faults: Faults = new Faults({
    note: (seen, what) => this.timeline.add({ ...seen, at: this.#now() }, what),
    timeline: () => this.timeline.toString(),
  });
  /** Those that are published and not confirmed. */
  readonly #unconfirmed = new Set<PublishedMessage>();
  /** Who was killed is told of nothing. */
  readonly #never = new Promise<void>(() => {});
  /** Another one in each life of the application; undefined when it is killed. */
  #life: object | undefined = {};

  constructor(now: () => number) {
    this.#now = now;
  }

  get published(): readonly PublishedMessage[] {
    return this.#published;
  }

  /** What has come of attempts, each when it was sure. */
  get handled(): readonly HandledMessage[] {
    return this.#handled;
  }

  /** Messages that are published and not confirmed, or in hand and not settled. */
  get pendingCount(): number {
    return this.#unconfirmed.size + this.#unsettled.size;
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** What the application does from now on leaves no trace: it is killed. */
  crashed(): void {
    this.#life = undefined;
    this.#forget();
  }

  /** Another life begins. Those of before have come to an end, and so has what they had in hand. */
  begins(): void {
    this.#life = {};
    this.#forget();
  }

  #forget(): void {
    this.#unsettled.clear();
    this.#unconfirmed.clear();
  }

  // ---------------------------------------------------------------- a witness

  publishing(message: Message, kind: SeenMessage['kind']): WitnessedPublish {
    const published: Mutable<PublishedMessage> = {
      ...this.#seen(message, message.routingKey, kind, parsed(message.body)),
      outcome: 'waiting',
    };
    if (this.#life === undefined) return { onDone: () => {}, copies: 0 };
    this.#published.push(published);
    this.#unconfirmed.add(published);
    this.timeline.add(published, `published (${kind})`);
    const life = this.#life;
    const copies = this.faults.takeDuplicate(message.routingKey) ? 1 : 0;
    if (copies > 0) this.timeline.add(published, 'published once more (duplicateNext)');
    this.#changed();
    return {
      onDone: (error, unroutable) => this.#done(published, error, unroutable),
      copies,
      held: () => (this.#life === life ? this.faults.held : this.#never),
    };
  }

  #done(published: Mutable<PublishedMessage>, error: Error | undefined, unroutable = false): void {
    // What a life that is over is told does not count.
    if (!this.#unconfirmed.delete(published)) return;
    published.error = error;
    if (error === undefined) published.outcome = unroutable ? 'unroutable' : 'confirmed';
    else published.outcome = 'failed';
    const how = error === undefined ? '' : `: ${errorText(error)}`;
    this.timeline.add({ ...published, at: this.#now() }, `${published.outcome}${how}`);
    this.#changed();
  }

  delivered(work: object, queue: string, message: Message): void {
    if (this.#life === undefined) return;
    this.#unsettled.set(work, []);
    this.#add(message, message.routingKey, `delivered from ${queue}`);
  }

  refused(work: object, { queue, pattern, message }: WitnessedMessage, reason: DeadLetterReason): void {
    const seen = this.#seen(message, pattern, 'event', parsed(message.body));
    this.#unsettled
      .get(work)
      ?.push({ ...seen, queue, handler: undefined, attempt: 0, result: 'dead-lettered', reason });
    this.timeline.add(seen, `dead-lettered without a handler (${reason})`);
  }

  arrived({ pattern, kind, data, message, ...arrival }: WitnessedArrival): Promise<void> | undefined {
    if (this.#life === undefined) return undefined;
    const seen = this.#seen(message, pattern, kind, data);
    return this.faults.heldBack({ pattern, kind, data, message, ...arrival }, seen);
  }

  started({ handler, message, pattern, attempt }: WitnessedAttempt): void {
    this.#add(message, pattern, `attempt ${attempt} of '${handler}' begins`);
  }

  ended(work: object, attempt: WitnessedAttempt, result: WitnessedResult): void {
    const results = this.#unsettled.get(work);
    if (results === undefined) return;
    const { message, pattern, kind, data, queue, handler } = attempt;
    const seen = this.#seen(message, pattern, kind, data);
    const handled: HandledMessage = { ...seen, queue, handler, attempt: attempt.attempt, ...result };
    this.timeline.add(seen, `attempt ${attempt.attempt} of '${handler}' ${resultText(result)}`);
    // Another attempt is sure now, and an ordered message stays unsettled for all of them.
    if (result.result !== 'retried') {
      results.push(handled);
      return;
    }
    this.#handled.push(handled);
    this.#changed();
  }

  settled(work: object, isDone: boolean): void {
    const results = this.#unsettled.get(work) ?? [];
    this.#unsettled.delete(work);
    if (isDone) this.#handled.push(...results);
    this.#changed();
  }

  interruption(pattern: string): { readonly error: unknown } | undefined {
    return this.faults.takeFailure(pattern);
  }

  #add(message: Message, pattern: string, what: string): void {
    this.timeline.add(this.#seen(message, pattern, 'event', parsed(message.body)), what);
  }

  #seen(message: Message, pattern: string, kind: SeenMessage['kind'], data: unknown): SeenMessage {
    const { headers = {}, messageId = '' } = message.properties;
    return { pattern, data, kind, headers, messageId, message, at: this.#now() };
  }
}

function resultText({ result, error, delayMs, reason }: WitnessedResult): string {
  const when = delayMs === undefined ? '' : `, again in ${delayMs} ms`;
  const why = reason === undefined ? '' : ` (${reason})`;
  return `${result}${why}${when}${error === undefined ? '' : `: ${errorText(error)}`}`;
}
