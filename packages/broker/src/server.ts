import type { Server as TcpServer, Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { AmqpConnection } from './amqp/amqp-connection.js';
import { type Authenticator, UserAuthenticator } from './auth/authenticator.js';
import { type Broker, openBroker } from './broker.js';
import { type Clock, systemClock } from './clock.js';
import { connectionsMax, openFilesMax, shareConnections } from './connections-max.js';
import { BrokerError } from './errors.js';
import { LIMITS } from './limits.js';
import { listen, portOf, reloadTls, tcpListener, tlsListener } from './listeners.js';
import {
  type NormalisedServerOptions,
  normaliseServerOptions,
  type ServerOptions,
} from './server-options.js';

/** A broker that AMQP 0-9-1 clients can connect to. Made by {@link createServer}. */
export class Server {
  readonly #connections = new Set<AmqpConnection>();
  readonly #clock: Clock;
  readonly #authenticator: Authenticator;
  readonly #onFailure: (error: Error) => void;
  #sockets: ReadonlySet<Socket> = new Set();
  #tcp: TcpServer | undefined;
  #tls: TlsServer | undefined;
  readonly #tlsOptions: NormalisedServerOptions['tls'];
  #reloading: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #onEmpty: () => void = () => {};

  /** @internal */
  constructor(
    /** The engine, for use in this process. */
    readonly broker: Broker,
    { loopbackUsers, tls, broker: { clock = systemClock, onFailure } }: NormalisedServerOptions,
  ) {
    this.#clock = clock;
    this.#tlsOptions = tls;
    this.#authenticator = new UserAuthenticator({ clock, users: broker.registry.users, loopbackUsers });
    this.#onFailure = onFailure ?? ((error) => process.emitWarning(error));
  }

  /** @internal */
  async listen({ host, port, tls }: NormalisedServerOptions): Promise<void> {
    const onSocket = (socket: Socket, certificateUser: string | undefined): void =>
      this.#onSocket(socket, certificateUser);
    // Files first: they are wrong more often than ports are taken, and nothing listens yet.
    const secure = tls && (await tlsListener(tls, onSocket));
    const plain = port === 'none' ? undefined : tcpListener(onSocket);
    this.#sockets = shareConnections(
      [plain, secure].filter((one) => one !== undefined),
      connectionsMax(openFilesMax()),
    );
    if (plain !== undefined && port !== 'none') {
      await listen(plain, host, port);
      this.#tcp = plain;
    }
    if (tls === undefined || secure === undefined) return;
    await listen(secure, host, tls.port);
    this.#tls = secure;
  }

  #onSocket(socket: Socket, certificateUser: string | undefined): void {
    const { broker } = this;
    // The engine may have been closed by who has it.
    if (this.#closing !== undefined || broker.isClosed) {
      socket.destroy();
      return;
    }
    const connection = new AmqpConnection({
      socket,
      broker,
      certificateUser,
      clock: this.#clock,
      authenticator: this.#authenticator,
      onFailure: this.#onFailure,
      onClose: () => this.#forget(connection),
    });
    this.#connections.add(connection);
  }

  /** Where clients connect without TLS; 0 when they can't. */
  get port(): number {
    return this.#tcp === undefined ? 0 : portOf(this.#tcp);
  }

  /** Where clients connect with TLS; 0 when they can't. */
  get tlsPort(): number {
    return this.#tls === undefined ? 0 : portOf(this.#tls);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Reads the certificate, its key and `caFile` anew: clients that connect from now on see them, those that are there keep what
   * they have. Rejects with INVALID_OPTION when the files can't be used, and when there is no `tls`; then all stays as it was.
   */
  reloadTls(): Promise<void> {
    // One after the other: the files that were read last are those that count.
    this.#reloading = this.#reloading.catch(() => {}).then(() => this.#reloadTls());
    return this.#reloading;
  }

  async #reloadTls(): Promise<void> {
    if (this.#tls === undefined || this.#tlsOptions === undefined)
      throw new BrokerError('INVALID_OPTION', 'There is no `tls` to be read anew.');
    await reloadTls(this.#tls, this.#tlsOptions);
  }

  /**
   * Accepts no more connections, confirms what was published, tells the clients (320 CONNECTION_FORCED), waits up to two
   * seconds for their answers, and closes the broker. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#tcp?.close();
    this.#tls?.close();
    const reason = "broker forced connection closure with reason 'shutdown'";
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    // What they published may be long on its way to the disk.
    await Promise.all([...this.#connections].map((connection) => connection.shutDown(reason)));
    const timer = this.#clock.setTimer(LIMITS.shutdownTimeoutMs, () => {
      for (const connection of this.#connections) connection.destroy();
    });
    if (this.#connections.size > 0) await empty;
    // Those that are left have not finished their TLS handshakes.
    for (const socket of this.#sockets) socket.destroy();
    timer.cancel();
    await this.broker.close();
  }

  #forget(connection: AmqpConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty();
  }
}

/**
 * Opens a broker and listens for AMQP 0-9-1 clients. As long as no user is defined, guest with the password guest may come
 * from this machine. Rejects as `openBroker`, and with INVALID_OPTION when an address can't be listened at, or a
 * certificate can't be used; then nothing is open.
 */
export async function createServer(options: ServerOptions = {}): Promise<Server> {
  const normalised = normaliseServerOptions(options);
  const server = new Server(await openBroker(normalised.broker), normalised);
  try {
    await server.listen(normalised);
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}
