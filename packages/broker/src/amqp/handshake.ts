import type { Authenticator } from '../auth/authenticator.js';
import { LIMITS } from '../limits.js';
import type { FieldTable, FieldValue } from '../message/message.js';
import { ByteReader, readTable } from '../message/table-codec.js';
import { AmqpError } from './amqp-error.js';
import type { Outbox } from './outbox.js';
import type { ConnectionOpen, ConnectionStartOk, ConnectionTuneOk, Method } from './protocol.js';
import { SERVER_PROPERTIES } from './server-properties.js';
import { WireTable } from './wire.js';

const MECHANISMS = 'PLAIN AMQPLAIN';

export interface HandshakeInit {
  readonly outbox: Outbox;
  readonly authenticator: Authenticator;
  /** The user that the client's certificate names; EXTERNAL is offered with one. */
  readonly certificateUser: string | undefined;
  /** The client's. */
  readonly address: string;
  /** Lets the user into the vhost, or throws NOT_ALLOWED. */
  readonly enter: (user: string, vhost: string) => void;
}

/** What was agreed on. */
export interface Session {
  readonly user: string;
  readonly wantsCancel: boolean;
  readonly wantsBlocked: boolean;
  readonly channelsMax: number;
  readonly heartbeatSeconds: number;
}

interface Login {
  readonly user: string;
  readonly password: string;
}

/** Wrong credentials. A client that did not announce that it wants to be told sees its socket close, as with RabbitMQ. */
export class LoginRefused extends AmqpError {
  constructor(
    mechanism: string,
    readonly isTold: boolean,
  ) {
    const text = `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`;
    super('ACCESS_REFUSED', text, true);
  }
}

/** From `connection.start` to `connection.open-ok` (AMQP 0-9-1, section 2.2.4). */
export class Handshake {
  readonly #init: HandshakeInit;
  readonly #outbox: Outbox;
  #state: 'starting' | 'tuning' | 'opening' = 'starting';
  #user = '';
  #capabilities: FieldTable = {};
  #channelsMax = LIMITS.channelsMax;
  #heartbeatSeconds = 0;

  constructor(init: HandshakeInit) {
    this.#init = init;
    const { outbox, certificateUser } = init;
    this.#outbox = outbox;
    outbox.method(0, {
      name: 'connection.start',
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: WireTable.of(SERVER_PROPERTIES),
      mechanisms: Buffer.from(certificateUser === undefined ? MECHANISMS : `${MECHANISMS} EXTERNAL`),
      locales: Buffer.from('en_US'),
    });
  }

  /** Resolves with the session when this method was the last. */
  async handle(method: Method): Promise<Session | undefined> {
    if (method.name === 'connection.start-ok' && this.#state === 'starting') return this.#startOk(method);
    if (method.name === 'connection.tune-ok' && this.#state === 'tuning') return this.#tuneOk(method);
    if (method.name === 'connection.open' && this.#state === 'opening') return this.#open(method);
    throw new AmqpError('CHANNEL_ERROR', `unexpected method in connection state ${this.#state}`);
  }

  async #startOk({ clientProperties, mechanism, response }: ConnectionStartOk): Promise<undefined> {
    this.#capabilities = tableIn(clientProperties.values['capabilities']);
    const user = await this.#login(mechanism, response);
    if (user === undefined)
      throw new LoginRefused(mechanism, this.#capabilities['authentication_failure_close'] === true);
    this.#user = user;
    this.#state = 'tuning';
    this.#outbox.method(0, {
      name: 'connection.tune',
      channelMax: LIMITS.channelsMax,
      frameMax: LIMITS.frameBytesMax,
      heartbeat: LIMITS.heartbeatSeconds,
    });
  }

  /** Undefined when it is refused. */
  async #login(mechanism: string, response: Buffer): Promise<string | undefined> {
    const { authenticator, address, certificateUser } = this.#init;
    if (mechanism === 'EXTERNAL' && certificateUser !== undefined)
      return authenticator.admits(certificateUser, address) ? certificateUser : undefined;
    const login = readLogin(mechanism, response);
    return (await authenticator.authenticate({ ...login, address })) ? login.user : undefined;
  }

  #tuneOk({ channelMax, frameMax, heartbeat }: ConnectionTuneOk): undefined {
    assertAgreed('channel_max', channelMax, 1, LIMITS.channelsMax);
    assertAgreed('frame_max', frameMax, LIMITS.frameBytesMin, LIMITS.frameBytesMax);
    this.#channelsMax = channelMax;
    this.#outbox.frameBytesMax = frameMax;
    this.#heartbeatSeconds = heartbeat;
    this.#state = 'opening';
  }

  #open({ virtualHost }: ConnectionOpen): Session {
    this.#init.enter(this.#user, virtualHost);
    this.#outbox.method(0, { name: 'connection.open-ok', knownHosts: '' });
    return {
      user: this.#user,
      wantsCancel: this.#capabilities['consumer_cancel_notify'] === true,
      wantsBlocked: this.#capabilities['connection.blocked'] === true,
      channelsMax: this.#channelsMax,
      heartbeatSeconds: this.#heartbeatSeconds,
    };
  }
}

/** Zero is no limit, and we have one. */
function assertAgreed(what: string, value: number, min: number, max: number): void {
  const refuse = (side: string): AmqpError => {
    const detail = what === 'channel_max' && value === 0 ? ' (no limit)' : '';
    return new AmqpError('NOT_ALLOWED', `negotiated ${what} = ${value}${detail} is ${side}`);
  };
  if (value !== 0 && value < min) throw refuse(`lower than the minimum allowed value (${min})`);
  if (value === 0 || value > max) throw refuse(`higher than the maximum allowed value (${max})`);
}

function readLogin(mechanism: string, response: Buffer): Login {
  if (mechanism === 'PLAIN') return readPlain(response);
  if (mechanism === 'AMQPLAIN') return readAmqPlain(response);
  throw new AmqpError('COMMAND_INVALID', `unknown authentication mechanism '${mechanism}'`);
}

/** RFC 4616: an authorization identity, which counts for nothing here, user and password, with zeros between. */
function readPlain(response: Buffer): Login {
  const [, user, password, ...rest] = response.toString('utf8').split('\0');
  if (user === undefined || password === undefined || rest.length > 0) throw malformed('PLAIN');
  return { user, password };
}

/** The fields of a table, without its length. */
function readAmqPlain(response: Buffer): Login {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(response.length);
  const { LOGIN: user, PASSWORD: password } = readTable(new ByteReader(Buffer.concat([length, response])));
  if (typeof user !== 'string' || typeof password !== 'string') throw malformed('AMQPLAIN');
  return { user, password };
}

function malformed(mechanism: string): AmqpError {
  return new AmqpError('SYNTAX_ERROR', `response of ${mechanism} authentication is invalid`);
}

function tableIn(value: FieldValue | undefined): FieldTable {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isTable ? (value as FieldTable) : {};
}
