import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GREETING, ScriptedClient } from '../amqp/server.js';
import { FAILING, ON_CHANNEL, ON_CLOSING_CHANNEL } from '../amqp/wrong-frames.js';
import type { WrongFrames } from '../amqp/wrong-frames/frames.js';
import { IN_HANDSHAKE } from '../amqp/wrong-handshakes.js';
import { type RabbitMq, startRabbitMq } from '../peers/rabbitmq.js';

let rabbitMq: RabbitMq | undefined;
let port: number;
beforeAll(async () => {
  rabbitMq = await startRabbitMq();
  port = Number(rabbitMq && new URL(rabbitMq.url).port);
}, 90_000);
afterAll(() => rabbitMq?.stop());

/** Those that RabbitMQ answers at once: for the others it waits for more. */
const answered = (cases: readonly WrongFrames[]): WrongFrames[] =>
  cases.filter((one) => !('rabbitMq' in one) || one.rabbitMq !== undefined);

describe('RabbitMQ itself', () => {
  it.each(answered(ON_CHANNEL))('answers $what as it is written down', async (one) => {
    if (rabbitMq === undefined) return;
    const client = await ScriptedClient.open(port);
    client.send(...one.sent);
    expect(await client.closing()).toContain(one.rabbitMq ?? one.answer);
    expect(client.cause).toBe(one.cause ?? client.cause);
    client.socket.destroy();
  });

  it.each(ON_CLOSING_CHANNEL)(
    'answers $what on a channel that it is closing as it is written down',
    async (one) => {
      if (rabbitMq === undefined) return;
      const client = await ScriptedClient.open(port);
      client.send(FAILING);
      expect(await client.closing()).toContain('channel 404');
      client.send(...one.sent);
      expect(await client.closing()).toContain(one.answer);
      expect(client.cause).toBe(one.cause ?? client.cause);
      client.socket.destroy();
    },
  );

  it('answers what is wrong in a handshake as it is written down', async () => {
    if (rabbitMq === undefined) return;
    const cases = answered(IN_HANDSHAKE);
    // All at once: it takes its time to close a socket without a word.
    const answers = cases.map((one) => {
      const client = ScriptedClient.connect(port);
      client.send(GREETING, ...one.sent);
      return client.closing().finally(() => client.socket.destroy());
    });
    for (const [i, answer] of (await Promise.all(answers)).entries()) {
      const { what, answer: ours, rabbitMq: theirs = ours } = cases[i] as WrongFrames;
      expect([what, answer]).toEqual([what, expect.stringContaining(theirs)]);
    }
  });
});
