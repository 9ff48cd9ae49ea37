import { connect as connectTcp } from 'node:net';
import { connect } from 'amqplib';
import { seededRandom } from '../random.js';
import {
  BODY,
  frame,
  GREETING,
  header,
  method,
  publish,
  short,
  shortString,
  startOk,
  tuneOk,
} from './server.js';

/** A session as a client would have it, frame by frame, after the handshake. */
const SESSION: readonly Buffer[] = [
  method(1, 20, 10, shortString('')),
  method(1, 40, 10, short(0), shortString('fuzz.x'), shortString('topic'), Buffer.from([2, 0, 0, 0, 0])),
  method(1, 50, 10, short(0), shortString('fuzz.q'), Buffer.from([8, 0, 0, 0, 4, 1, 0x61, 0x62, 1])),
  method(
    1,
    50,
    20,
    short(0),
    shortString('fuzz.q'),
    shortString('fuzz.x'),
    shortString('a.#'),
    Buffer.alloc(5),
  ),
  method(1, 85, 10, Buffer.from([0])),
  method(1, 60, 10, Buffer.from([0, 0, 0, 0, 0, 5, 0])),
  publish(1, 'a.b', 'fuzz.x', 1),
  header(1, 6, Buffer.from([0x30, 0, 0, 0, 0, 9, 1, 0x61, 0x53, 0, 0, 0, 2, 0x68, 0x69, 2])),
  frame(BODY, 1, Buffer.from('abc')),
  frame(BODY, 1, Buffer.from('def')),
  method(1, 60, 20, short(0), shortString('fuzz.q'), shortString('c'), Buffer.alloc(5)),
  method(1, 60, 80, Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 1])),
  method(1, 60, 70, short(0), shortString('fuzz.q'), Buffer.from([1])),
  method(1, 60, 120, Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 3])),
  method(1, 60, 110, Buffer.from([1])),
  method(2, 20, 10, shortString('')),
  method(2, 90, 10),
  publish(2, 'fuzz.q'),
  header(2, 0),
  method(2, 90, 20),
  method(1, 60, 30, shortString('c'), Buffer.from([0])),
  frame(8, 0, Buffer.alloc(0)),
  method(2, 20, 40, short(200), shortString('bye'), Buffer.alloc(4)),
];

type Random = () => number;

/** Changes, repeats, drops, cuts or swaps; most frames stay as they are, so that sessions get far. */
function mutate(frames: readonly Buffer[], next: Random): Buffer[] {
  const pick = (below: number): number => Math.floor(next() * below);
  const mutated: Buffer[] = [];
  for (const one of frames) {
    const dice = next();
    const copy = Buffer.from(one);
    if (dice < 0.06) copy[pick(copy.length)] = pick(256);
    else if (dice < 0.1) copy[7 + pick(Math.max(1, copy.length - 8))] = pick(256);
    if (dice >= 0.1 && dice < 0.12) continue;
    mutated.push(dice >= 0.12 && dice < 0.13 ? copy.subarray(0, pick(copy.length)) : copy);
    if (dice >= 0.13 && dice < 0.16) mutated.push(frames[pick(frames.length)] as Buffer);
  }
  return mutated;
}

const HANDSHAKE = Buffer.concat([
  GREETING,
  startOk('PLAIN', Buffer.from('\0guest\0guest'), ['consumer_cancel_notify']),
  tuneOk(),
  method(0, 10, 40, shortString('/'), shortString(''), Buffer.from([0])),
]);

const CLOSE = method(0, 10, 50, short(200), shortString(''), Buffer.alloc(4));
/** Sessions at once. */
const SESSIONS = 8;

/** Sends it all; resolves when the server has closed, or has answered the close that follows. */
function run(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('data', () => {});
    socket.end(bytes);
  });
}

export interface Fuzzed {
  readonly frames: number;
  readonly sessions: number;
}

/**
 * Sends a server so many frames of sessions gone wrong, the same for the same seed. After every few sessions another
 * client publishes, waits for the confirm, and has the message delivered: rejects when that does not work any more.
 */
export async function fuzz(
  port: number,
  { frames: goal, seed }: { readonly frames: number; readonly seed: number },
): Promise<Fuzzed> {
  const witness = await connect(`amqp://127.0.0.1:${port}`);
  const channel = await witness.createConfirmChannel();
  await channel.assertQueue('witness', { exclusive: true });
  let onSeen: () => void = () => {};
  await channel.consume('witness', () => onSeen(), { noAck: true });
  const next = seededRandom(seed);
  let frames = 0;
  let sessions = 0;
  for (; frames < goal; sessions += SESSIONS) {
    const some = Array.from({ length: SESSIONS }, () => mutate([...SESSION, ...SESSION.slice(6)], next));
    frames += some.reduce((sum, session) => sum + session.length, 0);
    await Promise.all(some.map((session) => run(port, Buffer.concat([HANDSHAKE, ...session, CLOSE]))));
    const seen = new Promise<void>((resolve) => {
      onSeen = resolve;
    });
    channel.sendToQueue('witness', Buffer.alloc(0));
    await Promise.all([channel.waitForConfirms(), seen]);
  }
  await witness.close();
  return { frames, sessions };
}
