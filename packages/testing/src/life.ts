import type { Clock } from '@nestmq/broker';
import { type Link, QUEUE_OPTIONS, QueueClient, type QueueOptions, QueueServer } from '@nestmq/transport';
import { LifeClock } from './life-clock.js';
import type { TestingBuilder } from './testing-builder.js';

type Executor<R> = (resolve: (value: R) => void, reject: (error: unknown) => void) => void;

/** From a start of the application to its end: what it is connected by, and what is asked of it. */
export class Life {
  readonly clock: LifeClock;
  readonly #clients: LifeClient[] = [];
  readonly #servers: QueueServer[] = [];
  readonly #kills = new Set<(error: Error) => void>();

  constructor(clock: Clock) {
    this.clock = new LifeClock(clock);
  }

  /** The server and the client of QueueModule are made of other options. */
  rewire(builder: TestingBuilder<unknown>, rewired: (own: QueueOptions) => QueueOptions): void {
    const inject = [QUEUE_OPTIONS];
    const server = (own: QueueOptions): QueueServer => kept(this.#servers, new QueueServer(rewired(own)));
    const client = (own: QueueOptions): QueueClient => kept(this.#clients, new LifeClient(rewired(own)));
    builder.overrideProvider(QueueServer).useFactory({ factory: server, inject });
    builder.overrideProvider(QueueClient).useFactory({ factory: client, inject });
  }

  /** Whether there is a QueueModule in what was compiled. */
  get isConnected(): boolean {
    return this.#clients.length > 0 && this.#servers.length > 0;
  }

  /** Messages that are not out yet, and requests without an answer. */
  get underWay(): number {
    return this.#clients.reduce((sum, client) => sum + client.underWay, 0);
  }

  /** A promise for the test, not for the application: it rejects when this life is taken. */
  ask<R>(executor: Executor<R>): Promise<R> {
    let end!: { resolve: (value: R) => void; reject: (error: unknown) => void };
    const asked = new Promise<R>((resolve, reject) => {
      end = { resolve, reject };
    });
    const kill = (reason: Error): void => {
      asked.catch(() => undefined);
      end.reject(reason);
    };
    const told =
      <T>(tell: (value: T) => void) =>
      (value: T): void => {
        this.#kills.delete(kill);
        tell(value);
      };
    this.#kills.add(kill);
    executor(told(end.resolve), told(end.reject));
    return asked;
  }

  /** It is killed. Its timers do not fire any more; who has asked is told so, and need not listen. */
  kill(): void {
    this.clock.end();
    for (const kill of this.#kills)
      kill(new Error('The application was killed, by crash(), before there was an answer.'));
    this.#kills.clear();
  }

  /** Nothing of it is connected any more, or will be, whether or not the application has closed. Idempotent. */
  async letGo(end: 'killed' | 'closed'): Promise<void> {
    this.clock.end();
    for (const client of this.#clients) client.life = end;
    await Promise.all([...this.#clients, ...this.#servers].map(async (one) => one.close()));
  }
}

/** Once closed, a client connects anew with the next message; not when its application is over. */
class LifeClient extends QueueClient {
  life: 'lives' | 'killed' | 'closed' = 'lives';

  override connect(): Promise<Link> {
    if (this.life === 'lives') return super.connect();
    // Who was killed does not learn of it.
    if (this.life === 'killed') return new Promise(() => {});
    return Promise.reject(new Error('The application under test is closed.'));
  }
}

function kept<T>(all: T[], one: T): T {
  all.push(one);
  return one;
}
