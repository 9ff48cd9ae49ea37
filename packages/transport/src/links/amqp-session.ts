import type { Duplex } from 'node:stream';
import type { Clock } from '@nestmq/broker';
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import type { NormalisedAmqpOptions } from './amqp-options.js';
import type { AmqpEndpoint } from './amqp-url.js';
import type { Amqplib } from './load-amqplib.js';

/** One try to connect and log in takes no longer: a host that swallows packets must not hold up the next one. */
const ATTEMPT_MS_MAX = 10_000;
/** A broker that says nothing to the end of a connection for so long is left without. Milliseconds. */
const CLOSE_MS_MAX = 5000;

export interface SessionListener {
  /** Called once, after all its channels have closed; not when it was closed by {@link AmqpSession.close}. */
  onLost(error: Error): void;
  onBlocked(reason: string | undefined): void;
}

/**
 * Being connected to one node, until that is over: once lost it stays so. There are two connections, since RabbitMQ reads
 * nothing from one that publishes while it blocks publishers (rabbitmq.com/docs/connection-blocked): what is acked meanwhile
 * goes over the other.
 */
export class AmqpSession {
  readonly #clock: Clock;
  /** The one that publishes, then the one that consumes. */
  readonly #connections: ChannelModel[] = [];
  #listener: SessionListener | undefined;
  #ended = false;
  #reason: Error | undefined;

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rejects when the node can't be reached, or refuses the login: see isLoginRefused. */
  static async open(
    amqplib: Amqplib,
    endpoint: AmqpEndpoint,
    options: NormalisedAmqpOptions,
    clock: Clock,
  ): Promise<AmqpSession> {
    const session = new AmqpSession(clock);
    try {
      for (const purpose of ['publishing', 'consuming'])
        session.#watch(await connect(amqplib, endpoint, options, purpose));
    } catch (error) {
      await session.close();
      throw error;
    }
    if (session.#ended) throw session.#reasonOr(undefined);
    return session;
  }

  /** From the beginning: an error that nobody listens to would end the process. */
  #watch(connection: ChannelModel): void {
    this.#connections.push(connection);
    connection.on('error', (error) => {
      this.#reason ??= error;
    });
    connection.on('close', (error) => this.#onClosed(connection, error));
    connection.on('blocked', (reason) => this.#listener?.onBlocked(reason));
    connection.on('unblocked', () => this.#listener?.onBlocked(undefined));
  }

  listen(listener: SessionListener): void {
    this.#listener = listener;
    if (this.#ended) listener.onLost(this.#reasonOr(undefined));
  }

  #onClosed(closed: ChannelModel, error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const other of this.#connections) if (other !== closed) void leave(other, this.#clock);
    this.#reason = this.#reasonOr(error);
    this.#listener?.onLost(this.#reason);
  }

  #reasonOr(error: Error | undefined): Error {
    return this.#reason ?? error ?? new Error('The broker closed the connection.');
  }

  /** Lost or closed. */
  get ended(): boolean {
    return this.#ended;
  }

  get #publishing(): ChannelModel {
    return this.#connections[0] as ChannelModel;
  }

  get #consuming(): ChannelModel {
    return this.#connections[1] as ChannelModel;
  }

  /** For everything but publishing. Who opens it listens to its errors. */
  async openChannel(): Promise<Channel> {
    this.#assertOpen();
    return this.#consuming.createChannel();
  }

  async openPublishing(): Promise<ConfirmChannel> {
    this.#assertOpen();
    return this.#publishing.createConfirmChannel();
  }

  /** A channel of a connection that is closed is never answered, and amqplib does not say so. */
  #assertOpen(): void {
    if (this.#ended) throw this.#reasonOr(undefined);
  }

  /** Ends it as if the connection had been lost: something is wrong that only a new one puts right. */
  abandon(reason: Error): void {
    this.#reason ??= reason;
    void leave(this.#consuming, this.#clock);
  }

  /** What is unsettled goes back to its queues. Resolves when the broker knows, or answers nothing for {@link CLOSE_MS_MAX}. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await Promise.all(this.#connections.map(async (one) => leave(one, this.#clock)));
  }
}

/** Never rejects: closing what is closed already is as good, and so is the end of its connection, which amqplib does not tell. */
export function closeChannel(channel: Channel): Promise<void> {
  return new Promise((resolve) => {
    channel.once('close', resolve);
    channel.close().catch(() => resolve());
  });
}

/** Never rejects: closing what is closed already is as good. */
function leave(connection: ChannelModel, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      resolve();
    };
    const timer = clock.setTimer(CLOSE_MS_MAX, () => {
      socketOf(connection).destroy(new Error(`The broker did not answer for ${CLOSE_MS_MAX} ms.`));
      resolve();
    });
    // amqplib tells those who closed it of the broker's answer alone, not that there will be none.
    connection.once('close', end);
    connection.close().then(end, end);
  });
}

/** amqplib's types do not tell of it. */
function socketOf({ connection }: ChannelModel): Duplex {
  return (connection as unknown as { readonly stream: Duplex }).stream;
}

function connect(
  amqplib: Amqplib,
  { tls, host, port, vhost, credentials }: AmqpEndpoint,
  options: NormalisedAmqpOptions,
  purpose: string,
): Promise<ChannelModel> {
  const url = {
    protocol: tls ? 'amqps' : 'amqp',
    hostname: host,
    port,
    ...credentials(),
    vhost: encodeURIComponent(vhost),
    heartbeat: options.heartbeatSeconds,
  };
  return amqplib.connect(url, {
    ...(tls ? options.tls : {}),
    timeout: ATTEMPT_MS_MAX,
    noDelay: true,
    clientProperties: { connection_name: `${options.connectionName} (${purpose})` },
  });
}
