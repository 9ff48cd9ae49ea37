import { messageOf, type Session, say } from './engine-session.js';

export interface PublisherOptions {
  /** Numbers go up from here. */
  readonly first: number;
  /** On a full disk publishes fail, or wait: that is said, and new ones are tried. */
  readonly mayBeRefused: boolean;
}

const RETRY_AFTER_MS = 20;
/** Publishers that heard nothing for so long wait for room. Milliseconds. */
const BLOCKED_AFTER_MS = 250;
const CONFIRMS_PER_WORD = 500;

/** Publishes for ever, so many at a time, and writes down what was confirmed. */
export class Publisher {
  readonly #session: Session;
  readonly #mayBeRefused: boolean;
  readonly #quiet: NodeJS.Timeout;
  #next: number;
  #confirmed = 0;

  constructor(session: Session, { first, mayBeRefused }: PublisherOptions) {
    this.#session = session;
    this.#mayBeRefused = mayBeRefused;
    this.#next = first;
    this.#quiet = setInterval(() => say(mayBeRefused ? 'full' : 'slow'), BLOCKED_AFTER_MS);
  }

  start(): void {
    for (let i = 0; i < this.#session.plan.inFlight; i++) this.#publish();
  }

  /** A number is used once: what was not confirmed may be there all the same. */
  #publish(): void {
    const number = this.#next++;
    const message = messageOf(number, this.#session.plan);
    try {
      const outcome = this.#session.connection.publish(message, (error) => {
        if (error !== undefined) this.#refused(error);
        else if (outcome !== 'routed') this.#refused(new Error(`${number} was ${outcome}`));
        else this.#accepted(message.routingKey, number);
      });
    } catch (error) {
      this.#refused(error);
    }
  }

  #accepted(queue: string, number: number): void {
    this.#session.ledger.write('confirmed', queue, number);
    this.#quiet.refresh();
    if (++this.#confirmed % CONFIRMS_PER_WORD === 0) say('more');
    this.#publish();
  }

  #refused(error: unknown): void {
    if (!this.#mayBeRefused) throw error;
    this.#quiet.refresh();
    say('full');
    setTimeout(() => this.#publish(), RETRY_AFTER_MS);
  }
}
