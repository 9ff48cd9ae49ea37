import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openBroker, type Server } from '@nestmq/broker';
import {
  BODY,
  frame,
  header,
  HEADER,
  method,
  publish,
  ScriptedClient,
  short,
  shortString,
  startServer,
} from './server.js';

/** Each type, in an order and in widths that no JavaScript value would be written in; one name twice. */
const TABLE = Buffer.from([
  1, 0x7a, 0x62, 0xff, 1, 0x61, 0x42, 0xff, 1, 0x62, 0x73, 0x80, 0, 1, 0x63, 0x75, 0x80, 0, 1, 0x64, 0x49, 0,
  0, 0, 1, 1, 0x65, 0x69, 0xff, 0xff, 0xff, 0xff, 1, 0x66, 0x6c, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x67, 0x66, 0x3f,
  0x80, 0, 0, 1, 0x68, 0x64, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1, 1, 0x69, 0x44, 2, 0, 0, 0, 150, 1, 0x6a, 0x54, 0,
  0, 0, 0, 0, 0, 0, 9, 1, 0x6b, 0x56, 1, 0x6c, 0x74, 7, 1, 0x6d, 0x53, 0, 0, 0, 2, 0x61, 0xff, 1, 0x6e, 0x78,
  0, 0, 0, 1, 0, 1, 0x6f, 0x41, 0, 0, 0, 4, 0x62, 1, 0x74, 2, 1, 0x6f, 0x46, 0, 0, 0, 0,
]);
const length = Buffer.from([0, 0, 0, TABLE.length]);
/** Content type, headers, delivery mode 2, a timestamp of no date. */
const PROPERTIES = Buffer.concat([
  short(0xb040),
  Buffer.from([1, 0x74]),
  length,
  TABLE,
  Buffer.from([2]),
  Buffer.alloc(8, 0xff),
]);

describe('the properties of a message', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'nestmq-amqp-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  async function send(server: Server): Promise<void> {
    const client = await ScriptedClient.open(server.port);
    client.send(method(1, 50, 10, short(0), shortString('q'), Buffer.from([2, 0, 0, 0, 0])));
    client.send(method(1, 85, 10, Buffer.from([0])));
    client.send(publish(1, 'q'), header(1, 4, PROPERTIES), frame(BODY, 1, Buffer.from('body')));
    // declare-ok, select-ok, ack
    for (let i = 0; i < 3; i++) await client.next();
    client.socket.destroy();
  }

  async function receive(server: Server): Promise<Buffer | undefined> {
    const client = await ScriptedClient.open(server.port);
    client.send(method(1, 60, 70, short(0), shortString('q'), Buffer.from([0])));
    let next = await client.next();
    while (next !== undefined && next.type !== HEADER) next = await client.next();
    client.socket.destroy();
    return next?.payload.subarray(12);
  }

  it('come as they were sent, byte for byte, from memory, from the disk, and after a restart', async () => {
    let server = await startServer({ directory, cacheBytesMax: 0 });
    await send(server);
    expect(await receive(server)).toEqual(PROPERTIES);
    await server.close();
    server = await startServer({ directory });
    expect(await receive(server)).toEqual(PROPERTIES);
    await server.close();
  });

  it('are decoded for those who consume in the process', async () => {
    const broker = await openBroker({ directory });
    const delivery = await broker.connect().get('q');
    expect(delivery?.message.properties).toMatchObject({
      contentType: 't',
      deliveryMode: 2,
      headers: { z: -1, a: 255, o: {} },
    });
    await broker.close();
  });
});
