import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../random.spec.support.js';
import { FrameParser } from './frame-parser.js';
import { deliveryStart, Outbox } from './outbox.js';
import { FRAME } from './protocol.js';

const SEED = 20_261_124;

/** Takes what it is given when it is told to, as a socket whose peer reads slowly; bytes are looked at only then. */
class SlowSocket {
  writableLength = 0;
  readonly destroyed = false;
  readonly writableEnded = false;
  readonly #waiting: [Buffer, (() => void) | undefined][] = [];

  cork(): void {}
  uncork(): void {}

  write(chunk: Buffer, onTaken?: () => void): void {
    this.writableLength += chunk.length;
    this.#waiting.push([chunk, onTaken]);
  }

  take(parser: FrameParser): void {
    const [chunk, onTaken] = this.#waiting.shift() as [Buffer, (() => void) | undefined];
    this.writableLength -= chunk.length;
    parser.push(Buffer.from(chunk));
    onTaken?.();
  }
}

/** The bodies of the deliveries that have come whole. */
function bodiesIn(parser: FrameParser, bodies: Buffer[]): void {
  while (parser.next()) {
    const { type, buffer, start, end } = parser;
    if (type === FRAME.METHOD) bodies.push(Buffer.alloc(0));
    else if (type === FRAME.BODY)
      bodies.push(Buffer.concat([bodies.pop() as Buffer, buffer.subarray(start, end)]));
  }
}

describe('what is sent', () => {
  it.each([
    ['small', 5000, 0.002, [0, 400]],
    ['of all sizes', 300, 0.9, [0, 400, 5000, 70_000, 300_000]],
  ])('comes in order and as it was, however late it is taken: bodies %s', (_, count, haste, sizes) => {
    const next = seededRandom(SEED);
    const socket = new SlowSocket();
    const outbox = new Outbox(socket as unknown as Socket);
    const start = deliveryStart(1, 'consumer');
    const parser = new FrameParser();
    outbox.frameBytesMax = parser.frameBytesMax = 131_072;
    const sent: Buffer[] = [];
    const received: Buffer[] = [];
    for (let i = 0; i < count; i++) {
      const size = Math.floor(next() * (sizes[Math.floor(next() * sizes.length)] as number));
      const body = Buffer.alloc(size, `${i} `);
      sent.push(body);
      const message = { exchange: 'x', routingKey: `key.${i}`, properties: {}, body };
      outbox.delivery(1, start, i + 1, message, i % 2 === 0);
      if (next() < 0.002) outbox.flush();
      if (socket.writableLength > 0 && next() < haste) socket.take(parser);
      bodiesIn(parser, received);
    }
    outbox.flush();
    while (socket.writableLength > 0) socket.take(parser);
    bodiesIn(parser, received);
    expect(outbox.unsentBytes).toBe(0);
    expect(received.length).toBe(sent.length);
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
  });
});
