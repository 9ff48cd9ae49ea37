import { MessageChannel } from 'node:worker_threads';
import type { Clock, Timer } from '@nestmq/broker';
import { QueueUnavailableException } from '../queue.exceptions.js';
import { amqpError, isLoginRefused, isVhostRefused } from './amqp-errors.js';
import type { NormalisedAmqpOptions } from './amqp-options.js';
import type { AmqpSession } from './amqp-session.js';
import { type AmqpEndpoint, locationOf } from './amqp-url.js';

/** So many refused logins or vhosts are no chance any more, as while a broker starts: it is told. */
const REFUSALS_MAX = 3;

export interface ConnectorInit {
  readonly options: Pick<NormalisedAmqpOptions, 'endpoints' | 'connectionTimeoutMs' | 'reconnectMs'>;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly open: (endpoint: AmqpEndpoint) => Promise<AmqpSession>;
}

/** Finds a node that lets in: one host after the other, and after each round a pause that grows, less a random part. */
export class AmqpConnector {
  readonly #init: ConnectorInit;
  #next = 0;
  #closed = false;
  #wake: () => void = () => {};

  constructor(init: ConnectorInit) {
    this.#init = init;
  }

  /**
   * For the first time. Rejects with QueueUnavailableException when no node lets in within `connectionTimeoutMs`, and
   * at once when one refuses the login or the vhost, or `signal` aborts.
   */
  connect(signal?: AbortSignal): Promise<AmqpSession> {
    const { clock, options } = this.#init;
    const deadline = clock.now() + options.connectionTimeoutMs;
    const connecting = this.#connect((error, pauseMs) => {
      if (isLoginRefused(error) || isVhostRefused(error)) throw refused(error);
      if (clock.now() + pauseMs > deadline) throw unreachable(options.endpoints, error);
    });
    return signal === undefined ? connecting : this.#until(signal, connecting);
  }

  /** A try that is under way goes on, and comes to nothing. */
  async #until(signal: AbortSignal, connecting: Promise<AmqpSession>): Promise<AmqpSession> {
    const forget = new AbortController();
    const aborted = new Promise<never>((_, reject) => {
      const onAbort = (): void => {
        this.close();
        reject(closedMeanwhile());
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { signal: forget.signal });
    });
    try {
      return await Promise.race([connecting, aborted]);
    } finally {
      forget.abort();
    }
  }

  /**
   * Goes on until a node lets in; rejects only when it is closed. A login or a vhost that is refused was good before, and may
   * be again (a password that is being changed, users that are kept elsewhere): `onHeldUp` is told of it, once of each.
   */
  reconnect(onHeldUp: (error: Error) => void): Promise<AmqpSession> {
    let [logins, vhosts] = [0, 0];
    return this.#connect((error) => {
      if (isLoginRefused(error) && ++logins === REFUSALS_MAX) onHeldUp(loginRefused(error));
      if (isVhostRefused(error) && ++vhosts === REFUSALS_MAX) onHeldUp(vhostRefused(error));
    });
  }

  /** Whoever waits for a session is told that it is closed. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** `onFailed` throws when that was the last try. */
  async #connect(onFailed: (error: unknown, pauseMs: number) => void): Promise<AmqpSession> {
    const { endpoints } = this.#init.options;
    for (let tried = 1; ; tried++) {
      const endpoint = endpoints[this.#next++ % endpoints.length] as AmqpEndpoint;
      try {
        const session = await this.#init.open(endpoint);
        if (!this.#closed) return session;
        await session.close();
      } catch (error) {
        const isRound = tried % endpoints.length === 0;
        const pauseMs = isRound ? this.#pauseMs(tried / endpoints.length) : 0;
        onFailed(named(endpoint, error), isRound ? pauseMs : Number.NEGATIVE_INFINITY);
        if (isRound && !this.#closed) await this.#pause(pauseMs);
      }
      if (this.#closed) throw closedMeanwhile();
    }
  }

  #pauseMs(round: number): number {
    const { min, max } = this.#init.options.reconnectMs;
    const whole = Math.min(max, min * 2 ** Math.min(round - 1, 30));
    return Math.round(whole * (0.5 + this.#init.random() / 2));
  }

  async #pause(ms: number): Promise<void> {
    let timer: Timer | undefined;
    const release = holdProcess();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = this.#init.clock.setTimer(ms, resolve);
    });
    timer?.cancel();
    release();
  }
}

function closedMeanwhile(): Error {
  return new QueueUnavailableException('The link was closed while it was connecting.');
}

/** A clock's timers keep no process alive, but a service whose broker is away for a while is not at its end. */
function holdProcess(): () => void {
  const { port1, port2 } = new MessageChannel();
  port1.ref();
  return () => {
    port1.close();
    port2.close();
  };
}

/** The client library's errors do not say where. */
function named(endpoint: AmqpEndpoint, error: unknown): Error {
  return Object.assign(new Error(`${locationOf(endpoint)}: ${amqpError(error).message}`, { cause: error }), {
    code: amqpError(error).code,
  });
}

function refused(error: unknown): QueueUnavailableException {
  const { message } = amqpError(error);
  return new QueueUnavailableException(
    `The broker refuses the login, or its vhost: ${message}. Correct the user, the password or the vhost in the URL, or the user's permissions.`,
    { cause: error },
  );
}

function loginRefused(error: unknown): QueueUnavailableException {
  const { message } = amqpError(error);
  return new QueueUnavailableException(
    `The broker refuses the login that was good before, and is asked again and again: ${message}. Who knows its users may be away; or the user or the password was changed: then correct the URL and start again.`,
    { cause: error },
  );
}

function vhostRefused(error: unknown): QueueUnavailableException {
  const { message } = amqpError(error);
  return new QueueUnavailableException(
    `The broker does not open its vhost, and is asked again and again: ${message}. It may not be up yet, or have too many connections; or it, or the user's permission for it, is gone.`,
    { cause: error },
  );
}

function unreachable(endpoints: readonly AmqpEndpoint[], error: unknown): QueueUnavailableException {
  const where = endpoints.map(locationOf).join(', ');
  return new QueueUnavailableException(
    `No broker could be reached at ${where}. Start it, or correct the URL. The last try: ${amqpError(error).message}`,
    { cause: error },
  );
}
