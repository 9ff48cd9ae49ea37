import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { createServer, type Server, type ServerOptions } from '@nestmq/broker';

/** A server on any free port; in memory unless a directory is given. */
export function startServer(options: ServerOptions = {}): Promise<Server> {
  return createServer({ port: 0, ...options });
}

/** With the password that is the name, and no permissions. The hash is RabbitMQ's, which is fast. */
export function addUser({ broker }: Server, name: string, tags: readonly string[] = []): void {
  const salt = Buffer.from([1, 2, 3, 4]);
  const hash = createHash('sha256').update(salt).update(name).digest();
  broker.registry.setUser(name, {
    hashingAlgorithm: 'rabbit_password_hashing_sha256',
    passwordHash: Buffer.concat([salt, hash]).toString('base64'),
    tags,
  });
}

export interface RawFrame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

export const METHOD = 1;
export const HEADER = 2;
export const BODY = 3;
export const GREETING: Buffer = Buffer.from('AMQP\0\0\u0009\u0001', 'latin1');

export function frame(type: number, channel: number, payload: Buffer, end = 0xce): Buffer {
  const start = Buffer.alloc(7);
  start.writeUInt8(type);
  start.writeUInt16BE(channel, 1);
  start.writeUInt32BE(payload.length, 3);
  return Buffer.concat([start, payload, Buffer.from([end])]);
}

export function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

export function long(value: number): Buffer {
  return Buffer.concat([short(value >>> 16), short(value & 0xffff)]);
}

export function shortString(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

export function longString(bytes: Buffer): Buffer {
  return Buffer.concat([long(bytes.length), bytes]);
}

export function method(channel: number, classId: number, methodId: number, ...args: Buffer[]): Buffer {
  return frame(METHOD, channel, Buffer.concat([short(classId), short(methodId), ...args]));
}

export function publish(channel: number, routingKey: string, exchange = '', bits = 0): Buffer {
  const names = [shortString(exchange), shortString(routingKey)];
  return method(channel, 60, 40, short(0), ...names, Buffer.from([bits]));
}

/** A content header; `properties` start with their flags. */
export function header(channel: number, bodyBytes: number, properties: Buffer = short(0)): Buffer {
  return frame(HEADER, channel, Buffer.concat([short(60), short(0), long(0), long(bodyBytes), properties]));
}

/** `channel.close` or `connection.close`, in words: `channel 404 NOT_FOUND - …`. */
export function closeIn({ payload }: RawFrame): string | undefined {
  const ids = `${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`;
  const what = { '10.50': 'connection', '20.40': 'channel' }[ids];
  if (what === undefined) return undefined;
  const length = payload.readUInt8(6);
  return `${what} ${payload.readUInt16BE(4)} ${payload.toString('utf8', 7, 7 + length)}`;
}

/** The method that a close names as its cause, as `class.method`. */
function causeIn({ payload }: RawFrame): string {
  return `${payload.readUInt16BE(payload.length - 4)}.${payload.readUInt16BE(payload.length - 2)}`;
}

/** A client that says what it is told to say, right or wrong. */
export class ScriptedClient {
  readonly socket: Socket;
  /** Of the last close that came. */
  cause = '';
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #onChange: () => void = () => {};

  private constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#onChange();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.#ended = true;
      this.#onChange();
    });
  }

  static connect(port: number): ScriptedClient {
    return new ScriptedClient(port);
  }

  /** Connected, with channel 1 open. */
  static async open(
    port: number,
    capabilities: readonly string[] = [],
    user = 'guest',
  ): Promise<ScriptedClient> {
    const client = new ScriptedClient(port);
    client.send(GREETING);
    await client.next();
    client.send(startOk('PLAIN', Buffer.from(`\0${user}\0${user}`), capabilities));
    await client.next();
    client.send(tuneOk(), method(0, 10, 40, shortString('/'), shortString(''), Buffer.from([0])));
    await client.next();
    client.send(method(1, 20, 10, shortString('')));
    await client.next();
    return client;
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next frame, or undefined when the server has closed the socket. */
  async next(): Promise<RawFrame | undefined> {
    for (;;) {
      const found = this.#take();
      if (found !== undefined) return found;
      if (this.#ended) return undefined;
      await this.#change();
    }
  }

  /** What came so far and is no frame, once the socket is closed. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#change();
    return this.#bytes;
  }

  /** What the server closes with: the first close that comes, or that of the socket alone. */
  async closing(): Promise<string> {
    for (;;) {
      const next = await this.next();
      if (next === undefined) return 'socket';
      const close = next.type === METHOD ? closeIn(next) : undefined;
      if (close === undefined) continue;
      this.cause = causeIn(next);
      return close;
    }
  }

  #take(): RawFrame | undefined {
    if (this.#bytes.length < 8) return undefined;
    const size = this.#bytes.readUInt32BE(3);
    if (this.#bytes.length < size + 8) return undefined;
    const [type, channel] = [this.#bytes.readUInt8(0), this.#bytes.readUInt16BE(1)];
    const payload = this.#bytes.subarray(7, 7 + size);
    this.#bytes = this.#bytes.subarray(size + 8);
    return { type, channel, payload };
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = resolve;
    });
  }
}

export function startOk(mechanism: string, response: Buffer, capabilities: readonly string[] = []): Buffer {
  const flags = capabilities.map((name) => Buffer.concat([shortString(name), Buffer.from('t\u0001')]));
  const field = Buffer.concat([
    shortString('capabilities'),
    Buffer.from('F'),
    longString(Buffer.concat(flags)),
  ]);
  return method(
    0,
    10,
    11,
    longString(field),
    shortString(mechanism),
    longString(response),
    shortString('en_US'),
  );
}

export function tuneOk(channelMax = 2047, frameMax = 131_072, heartbeat = 0): Buffer {
  return method(0, 10, 31, short(channelMax), long(frameMax), short(heartbeat));
}
