import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { AmqpConnection } from './amqp/amqp-connection.js';
import { guestOnLoopback } from './auth/authenticator.js';
import { type Broker, openBroker } from './broker.js';
import { type Clock, systemClock } from './clock.js';
import { BrokerError, messageOf, systemCodeOf } from './errors.js';
import { LIMITS } from './limits.js';
import type { BrokerOptions } from './options.js';

export interface ServerOptions extends BrokerOptions {
  /** The address to listen at. @default '127.0.0.1' */
  readonly host?: string;
  /** 0 is any that is free. @default 5672 */
  readonly port?: number;
}

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 5672;

/** A broker that AMQP 0-9-1 clients can connect to. Made by {@link createServer}. */
export class Server {
  readonly #connections = new Set<AmqpConnection>();
  readonly #tcp: TcpServer;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;
  #onEmpty: () => void = () => {};

  /** @internal */
  constructor(
    /** The engine, for use in this process. */
    readonly broker: Broker,
    { clock, onFailure }: { readonly clock: Clock; readonly onFailure: (error: Error) => void },
  ) {
    this.#clock = clock;
    this.#tcp = createTcpServer((socket) => {
      // The engine may have been closed by who has it.
      if (this.#closing !== undefined || broker.isClosed) return socket.destroy();
      const init = { socket, broker, clock, authenticator: guestOnLoopback, onFailure };
      const onClose = (closed: AmqpConnection): void => this.#forget(closed);
      return this.#connections.add(new AmqpConnection({ ...init, onClose }));
    });
    this.#tcp.maxConnections = LIMITS.connectionsMax;
  }

  /** @internal */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#tcp.once('error', reject);
      this.#tcp.listen(port, host, () => {
        this.#tcp.off('error', reject);
        resolve();
      });
    });
  }

  /** Where clients connect. */
  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Accepts no more connections, confirms what was published, tells the clients (320 CONNECTION_FORCED), waits a
   * bounded time for their answers, and closes the broker. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#tcp.close();
    const reason = "broker forced connection closure with reason 'shutdown'";
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    const timer = this.#clock.setTimer(LIMITS.closeTimeoutMs, () => {
      for (const connection of this.#connections) connection.destroy();
    });
    await Promise.all([...this.#connections].map((connection) => connection.shutDown(reason)));
    if (this.#connections.size > 0) await empty;
    timer.cancel();
    await this.broker.close();
  }

  #forget(connection: AmqpConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty();
  }
}

/**
 * Opens a broker and listens for AMQP 0-9-1 clients; user guest, password guest, from this machine only. Rejects as
 * `openBroker`, and with INVALID_OPTION when the address can't be listened at; then nothing is open.
 */
export async function createServer(options: ServerOptions = {}): Promise<Server> {
  const { host = DEFAULT_HOST, port = DEFAULT_PORT, ...brokerOptions } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new BrokerError('INVALID_OPTION', `'port' is ${port}.`, { cure: 'Give one from 0 to 65535.' });
  }
  const broker = await openBroker(brokerOptions);
  const { clock = systemClock, onFailure = (error: Error) => process.emitWarning(error) } = brokerOptions;
  const server = new Server(broker, { clock, onFailure });
  try {
    await server.listen(host, port);
  } catch (cause) {
    await broker.close();
    throw refusedAddress(host, port, cause);
  }
  return server;
}

function refusedAddress(host: string, port: number, cause: unknown): BrokerError {
  const code = systemCodeOf(cause) ?? messageOf(cause);
  const what =
    code === 'EADDRINUSE'
      ? `Port ${port} of '${host}' is taken.`
      : `Can't listen at '${host}', port ${port} (${code}).`;
  return new BrokerError('INVALID_OPTION', what, {
    cure: 'Give another `host` or `port`; port 0 is any that is free.',
    cause,
  });
}
