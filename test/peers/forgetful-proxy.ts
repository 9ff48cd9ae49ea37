import { connect, createServer, type Socket } from 'node:net';

/** Of a frame: its type, channel and size; it ends with a byte of its own (AMQP 0-9-1, 2.3.5). */
const FRAME_HEADER_BYTES = 7;
/** What a client says first: 'AMQP' and four bytes. */
const PROTOCOL_HEADER_BYTES = 8;
const METHOD_FRAME = 1;
const BASIC_CANCEL = 0x3c_001e;

/**
 * A way to an AMQP server that forgets to tell consumers that their queue is gone, as a cluster of RabbitMQ 3.10 does at
 * times; that one ends the connection of who cancels such a consumer then.
 */
export interface ForgetfulProxy {
  readonly port: number;
  /** How many consumers clients have cancelled. */
  readonly cancels: number;
  close(): Promise<void>;
}

/** To a port of this machine. Nothing but `basic.cancel` from the server is lost. */
export async function startForgetfulProxy(targetPort: number): Promise<ForgetfulProxy> {
  const sockets = new Set<Socket>();
  let cancels = 0;
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // That it is cut is no news.
      socket.on('error', () => {});
    }
    const [asked, told] = [new Frames(), new Frames()];
    client.on('data', (bytes: Buffer) => {
      cancels += asked.of(bytes).filter(isCancel).length;
      upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      for (const frame of told.of(bytes)) if (!isCancel(frame)) client.write(frame);
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as { readonly port: number }).port,
    get cancels() {
      return cancels;
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

class Frames {
  #kept = Buffer.alloc(0);

  /** Those that are whole now; the rest is kept for later. */
  of(bytes: Buffer): Buffer[] {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    const whole: Buffer[] = [];
    for (let next = this.#next(); next !== undefined; next = this.#next()) whole.push(next);
    return whole;
  }

  #next(): Buffer | undefined {
    const headerBytes = this.#kept.toString('latin1', 0, 4) === 'AMQP' ? PROTOCOL_HEADER_BYTES : undefined;
    if (headerBytes === undefined && this.#kept.length < FRAME_HEADER_BYTES) return undefined;
    const frameBytes = headerBytes ?? FRAME_HEADER_BYTES + this.#kept.readUInt32BE(3) + 1;
    if (this.#kept.length < frameBytes) return undefined;
    const frame = this.#kept.subarray(0, frameBytes);
    this.#kept = this.#kept.subarray(frameBytes);
    return frame;
  }
}

const isCancel = (frame: Buffer): boolean =>
  frame[0] === METHOD_FRAME && frame.readUInt32BE(FRAME_HEADER_BYTES) === BASIC_CANCEL;
