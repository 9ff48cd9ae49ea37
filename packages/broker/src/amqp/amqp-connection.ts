import type { Socket } from 'node:net';
import type { Timer } from '../clock.js';
import type { Connection } from '../connection.js';
import { LIMITS } from '../limits.js';
import { type Access, enter, type Entered } from './access.js';
import { AmqpError, octetsOf, toAmqpError } from './amqp-error.js';
import { Channel, type Step } from './channel.js';
import type { ChannelHost } from './channel-host.js';
import type { AmqpConnectionInit } from './connection-init.js';
import { ContentAssembler, type Unfinished } from './content.js';
import { DurableMarks } from './durable-marks.js';
import { FrameParser } from './frame-parser.js';
import { Handshake, LoginRefused, type Session } from './handshake.js';
import { Heartbeat } from './heartbeat.js';
import { idsOf, readMethod } from './method-codec.js';
import { Outbox } from './outbox.js';
import { FRAME, type Method } from './protocol.js';

/** AMQP, zero, 0-9-1. */
const PROTOCOL_HEADER: Buffer = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/**
 * One client's socket. Frames are handled in the order they come; where one has to wait, for the disk or because
 * publishing is blocked, nothing more is read, so that a client is slowed down and memory is not filled.
 */
export class AmqpConnection implements ChannelHost {
  readonly outbox: Outbox;
  readonly unfinished: Unfinished = { bytes: 0 };
  readonly #init: AmqpConnectionInit;
  readonly #socket: Socket;
  readonly #parser = new FrameParser();
  readonly #channels = new Map<number, Channel>();
  #greeting: Buffer | undefined = Buffer.alloc(0);
  #handshake: Handshake | undefined;
  #session: Session | undefined;
  #entered: Entered | undefined;
  #heartbeat: Heartbeat | undefined;
  /** Cuts off a client that does not finish its handshake, or does not answer a close. */
  #deadline: Timer;
  #state: 'running' | 'closing' | 'closed' = 'running';
  /** The frame in the parser has to wait. */
  #holdsFrame = false;
  /** Steps of channel 0 under way, or of all channels: nothing is read. */
  #stops = 0;
  readonly #marks = new DurableMarks(
    () => this.engine.durable(),
    () => this.#process(),
  );

  constructor(init: AmqpConnectionInit) {
    this.#init = init;
    this.#socket = init.socket;
    this.outbox = new Outbox(init.socket);
    this.#deadline = init.clock.setTimer(LIMITS.handshakeTimeoutMs, () => this.#socket.destroy());
    const { socket } = init;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    // 'close' follows, and is enough.
    socket.on('error', () => {});
    socket.on('close', () => this.#onClosed());
  }

  /** There is one when there is a channel. */
  get engine(): Connection {
    return (this.#entered as Entered).engine;
  }

  get access(): Access {
    return (this.#entered as Entered).access;
  }

  get user(): string {
    return this.#session?.user ?? '';
  }

  get wantsCancel(): boolean {
    return this.#session?.wantsCancel ?? false;
  }

  isDrained(): boolean {
    return this.outbox.unsentBytes < LIMITS.unsentDeliveriesBytesMax;
  }

  published(bytes: number): void {
    this.#marks.published(bytes);
  }

  async unblocked(): Promise<void> {
    const wants = this.#session?.wantsBlocked === true;
    const reason = (this.engine.blocked ?? '').slice(0, LIMITS.shortStringBytesMax / 3);
    if (wants) this.outbox.method(0, { name: 'connection.blocked', reason });
    this.#stops++;
    try {
      await this.engine.unblocked();
    } finally {
      this.#stops--;
    }
    if (wants) this.outbox.method(0, { name: 'connection.unblocked' });
  }

  // ---------------------------------------------------------------- reading

  #onData(chunk: Buffer): void {
    this.#heartbeat?.heard();
    if (this.#state === 'closed') return;
    if (this.#greeting !== undefined) return this.#greet(this.#greeting, chunk);
    this.#parser.push(chunk);
    return this.#process();
  }

  #greet(before: Buffer, chunk: Buffer): void {
    const greeting = Buffer.concat([before, chunk]);
    const length = Math.min(greeting.length, PROTOCOL_HEADER.length);
    if (greeting.compare(PROTOCOL_HEADER, 0, length, 0, length) !== 0) {
      this.outbox.raw(PROTOCOL_HEADER);
      return this.#end();
    }
    this.#greeting = greeting;
    if (greeting.length < PROTOCOL_HEADER.length) return undefined;
    this.#greeting = undefined;
    const { authenticator, certificateUser, socket } = this.#init;
    this.#handshake = new Handshake({
      outbox: this.outbox,
      authenticator,
      certificateUser,
      address: socket.remoteAddress ?? '',
      enter: (user, vhost) => {
        this.#entered = enter(this.#init.broker, user, vhost, (reason) => this.#forceClose(reason));
      },
    });
    this.#parser.push(greeting.subarray(PROTOCOL_HEADER.length));
    return this.#process();
  }

  get #isStopped(): boolean {
    if (this.#state !== 'running') return false;
    const isFull = this.outbox.unsentBytes >= LIMITS.unsentBytesMax;
    return isFull || this.#stops > 0 || this.#marks.isFull;
  }

  /** Handles what has come, as far as it can be now, and reads on when all of it was. */
  #process(): void {
    while (this.#state !== 'closed' && !this.#isStopped && (this.#holdsFrame || this.#nextFrame())) {
      this.#holdsFrame = !this.#frame();
      if (this.#holdsFrame) break;
    }
    const waits = this.#state !== 'closed' && (this.#holdsFrame || this.#isStopped);
    if (waits) this.#socket.pause();
    else this.#socket.resume();
  }

  #nextFrame(): boolean {
    try {
      return this.#parser.next();
    } catch (error) {
      // Where the next frame starts nobody knows: there is nothing to wait for.
      if (this.#state === 'running') this.#sendClose(toAmqpError(error), undefined);
      this.#end();
      return false;
    }
  }

  /** Returns false when the frame has to wait. */
  #frame(): boolean {
    const { type, channel: number } = this.#parser;
    const channel = this.#channels.get(number);
    if (this.#state === 'running' && channel?.busy !== undefined) return false;
    let method: Method | undefined;
    // What goes wrong before a content is whole goes wrong with the method that it belongs to.
    const publish = channel?.publishUnderWay;
    try {
      if (type === FRAME.METHOD) {
        if (publish !== undefined) throw (channel as Channel).outOfOrder();
        if (this.#state === 'running' && channel?.isClosing === false && channel.frequent(this.#parser))
          return true;
        method = readMethod(this.#parser.reader());
      }
      if (this.#state === 'closing') this.#whileClosing(method, number);
      else if (number === 0) this.#onChannelZero(method);
      else this.#onChannel(channel, number, method);
    } catch (error) {
      this.#fail(error, number, method ?? publish);
    }
    return true;
  }

  // ---------------------------------------------------------------- channel 0

  #onChannelZero(method: Method | undefined): void {
    if (this.#parser.type === FRAME.HEARTBEAT) return;
    if (method === undefined) throw this.#unexpectedFrame();
    if (method.name === 'connection.close') {
      this.outbox.last({ name: 'connection.close-ok' });
      this.#end();
      return;
    }
    if (method.name === 'connection.close-ok') return;
    if (this.#session === undefined) this.#wait(this.#shakeHands(method), method);
    else if (method.name === 'connection.update-secret') {
      // As RabbitMQ for users with a password: theirs does not expire, and nothing changes.
      this.outbox.method(0, { name: 'connection.update-secret-ok' });
    } else throw new AmqpError('CHANNEL_ERROR', 'unexpected method in connection state running');
  }

  async #shakeHands(method: Method): Promise<void> {
    const session = await this.#handshake?.handle(method);
    this.#parser.frameBytesMax = Math.max(LIMITS.handshakeFrameBytesMax, this.outbox.frameBytesMax);
    if (session === undefined) return;
    this.#session = session;
    this.#deadline.cancel();
    this.#heartbeat = new Heartbeat({
      clock: this.#init.clock,
      seconds: session.heartbeatSeconds,
      send: () => this.outbox.heartbeat(),
      onSilence: () => this.#onSilence(),
    });
  }

  #forceClose(reason: string): void {
    if (this.#state !== 'running') return;
    this.#close(new AmqpError('CONNECTION_FORCED', reason), undefined);
    this.#process();
  }

  /** A step of the connection itself. */
  #wait(step: Promise<void>, method: Method): void {
    this.#stops++;
    step
      .catch((error: unknown) => this.#fail(error, 0, method))
      .finally(() => {
        this.#stops--;
        this.#process();
      });
  }

  #onSilence(): void {
    // What it may have sent is not read now, by our own choice.
    if (this.#holdsFrame || this.#isStopped) this.#heartbeat?.heard();
    else this.#socket.destroy();
  }

  #unexpectedFrame(): AmqpError {
    const { type, buffer, start, end } = this.#parser;
    return new AmqpError('UNEXPECTED_FRAME', octetsOf(type, buffer.subarray(start, end)));
  }

  // ---------------------------------------------------------------- channels

  #onChannel(channel: Channel | undefined, number: number, method: Method | undefined): void {
    const { type } = this.#parser;
    if (this.#session === undefined || type === FRAME.HEARTBEAT) throw this.#unexpectedFrame();
    if (channel === undefined) return this.#onUnopened(number, method);
    if (channel.isClosing) return this.#onClosing(number, method);
    if (method?.name === 'channel.close') {
      this.#drop(number, channel);
      return this.outbox.method(number, { name: 'channel.close-ok' });
    }
    if (method !== undefined) return this.#waitFor(channel, number, channel.method(method), method);
    const publish = channel.publishUnderWay;
    const step = type === FRAME.HEADER ? channel.header(this.#parser) : channel.body(this.#parser);
    return this.#waitFor(channel, number, step, publish);
  }

  /** Until its close is answered nothing else counts. A close of the client's own may have crossed it. */
  #onClosing(number: number, method: Method | undefined): void {
    const name = method?.name;
    if (name === 'channel.open') throw new AmqpError('CHANNEL_ERROR', "second 'channel.open' seen");
    if (name === 'channel.close-ok') this.#channels.delete(number);
    if (name === 'channel.close') this.outbox.method(number, { name: 'channel.close-ok' });
  }

  #onUnopened(number: number, method: Method | undefined): void {
    if (method === undefined) throw new ContentAssembler(this.unfinished).outOfOrder();
    if (method.name !== 'channel.open') throw new AmqpError('CHANNEL_ERROR', "expected 'channel.open'");
    const { size } = this.#channels;
    const max = this.#session?.channelsMax ?? 0;
    if (size >= max) {
      const text = `number of channels opened (${size}) has reached the negotiated channel_max (${max})`;
      throw new AmqpError('NOT_ALLOWED', text);
    }
    this.#channels.set(number, new Channel(number, this));
    this.outbox.method(number, { name: 'channel.open-ok', channelId: Buffer.alloc(0) });
  }

  #waitFor(channel: Channel, number: number, step: Step, method: Method | undefined): void {
    if (step === undefined) return;
    channel.busy = step
      .catch((error: unknown) => this.#fail(error, number, method))
      .finally(() => {
        channel.busy = undefined;
        this.#process();
      });
  }

  #drop(number: number, channel: Channel): void {
    this.#channels.delete(number);
    channel.close();
  }

  // ---------------------------------------------------------------- closing

  #fail(error: unknown, number: number, method: Method | undefined): void {
    if (this.#state !== 'running') return;
    const told = toAmqpError(error);
    if (told.message.startsWith('INTERNAL_ERROR')) this.#init.onFailure(error as Error);
    if (error instanceof LoginRefused) return error.isTold ? this.#close(told, undefined) : this.#end();
    const channel = this.#channels.get(number);
    if (told.closesConnection || channel === undefined) return this.#close(told, method);
    channel.isClosing = true;
    channel.close();
    return this.outbox.method(number, {
      name: 'channel.close',
      replyCode: told.code,
      replyText: told.replyText,
      ...idsOf(method),
    });
  }

  /** Says why, and waits for the client's answer. */
  #close(error: AmqpError, method: Method | undefined): void {
    this.#sendClose(error, method);
    this.#letGo();
  }

  #sendClose(error: AmqpError, method: Method | undefined): void {
    this.#state = 'closing';
    this.outbox.last({
      name: 'connection.close',
      replyCode: error.code,
      replyText: error.replyText,
      ...idsOf(method),
    });
    this.#deadline.cancel();
    this.#deadline = this.#init.clock.setTimer(LIMITS.closeTimeoutMs, () => this.#socket.destroy());
  }

  #whileClosing(method: Method | undefined, number: number): void {
    if (number !== 0) return;
    if (method?.name === 'connection.close-ok' || method?.name === 'connection.close') this.#end();
  }

  /** Everything that was said goes out; then the socket is closed. */
  #end(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.outbox.flush();
    this.#letGo();
    this.#socket.end();
    // Who has been told goodbye and stays is cut off.
    this.#deadline.cancel();
    this.#deadline = this.#init.clock.setTimer(LIMITS.closeTimeoutMs, () => this.#socket.destroy());
  }

  /** Closes from this side: what is published is confirmed first, then the client is told. Idempotent. */
  async shutDown(reason: string): Promise<void> {
    this.#stops++;
    this.#socket.pause();
    // A store that failed has been told of.
    await this.#entered?.engine.durable().catch(() => {});
    this.#stops--;
    // One that is being closed already goes on with it.
    if (this.#state !== 'running') return this.#process();
    if (this.#session !== undefined) return this.#forceClose(reason);
    this.#end();
    // A stranger is not waited for.
    return this.#socket.destroySoon();
  }

  /** Without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  #onDrain(): void {
    for (const channel of this.#channels.values()) channel.wake();
    this.#process();
  }

  /** What the client had goes back to the engine. */
  #letGo(): void {
    this.#heartbeat?.stop();
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    this.#entered?.engine.close();
  }

  #onClosed(): void {
    this.#state = 'closed';
    this.#deadline.cancel();
    this.#letGo();
    this.#init.onClose();
  }
}
