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
  readonly #publishing: ChannelModel;
  readonly #consuming: ChannelModel;
  readonly #clock: Clock;
  #ended = false;
  #reason: Error | undefined;

  private constructor(publishing: ChannelModel, consuming: ChannelModel, clock: Clock) {
    this.#publishing = publishing;
    this.#consuming = consuming;
    this.#clock = clock;
  }

  /** Rejects when the node can't be reached, or refuses the login: see isLoginRefused. */
  static async open(
    amqplib: Amqplib,
    endpoint: AmqpEndpoint,
    options: NormalisedAmqpOptions,
    clock: Clock,
  ): Promise<AmqpSession> {
    const publishing = await connect(amqplib, endpoint, options, 'publishing');
    try {
      return new AmqpSession(publishing, await connect(amqplib, endpoint, options, 'consuming'), clock);
    } catch (error) {
      await leave(publishing, clock);
      throw error;
    }
  }

  listen(listener: SessionListener): void {
    this.#publishing.on('blocked', (reason) => listener.onBlocked(reason));
    this.#publishing.on('unblocked', () => listener.onBlocked(undefined));
    for (const connection of [this.#publishing, this.#consuming]) {
      connection.on('error', (error) => {
        this.#reason ??= error;
      });
      connection.on('close', (error) => this.#onClosed(connection, listener, error));
    }
  }

  #onClosed(closed: ChannelModel, listener: SessionListener, error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    const other = closed === this.#publishing ? this.#consuming : this.#publishing;
    void leave(other, this.#clock);
    listener.onLost(this.#reason ?? error ?? new Error('The broker closed the connection.'));
  }

  /** Lost or closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** For everything but publishing. Who opens it listens to its errors. */
  openChannel(): Promise<Channel> {
    return this.#consuming.createChannel();
  }

  openPublishing(): Promise<ConfirmChannel> {
    return this.#publishing.createConfirmChannel();
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
    await Promise.all([this.#publishing, this.#consuming].map(async (one) => leave(one, this.#clock)));
  }
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
