import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, type Connection, openBroker } from '@nestmq/broker';

let parent: string;
let directory: string;
let broker: Broker | undefined;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'nestmq-command-'));
  directory = join(parent, 'mq');
});
afterEach(async () => {
  await broker?.close();
  broker = undefined;
  rmSync(parent, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command as it is installed, in a process of its own, with nobody to ask. */
function nestmq(...args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    const bin = resolve('packages/broker/dist/bin/nestmq.js');
    const child = execFile(process.execPath, [bin, ...args], (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out: normal(out), err: normal(err) });
    });
    child.stdin?.end();
  });
}

/** Without what differs from run to run. */
function normal(text: string): string {
  return text.replaceAll(parent, 'TMP').replaceAll(/quarantine-[\dTZ]+/g, 'quarantine-NOW');
}

function publish(connection: Connection, queue: string, body: string): Promise<void> {
  return new Promise((done, fail) => {
    const message = {
      exchange: '',
      routingKey: queue,
      properties: { deliveryMode: 2 },
      body: Buffer.from(body),
    };
    connection.publish(message, (error) => (error === undefined ? done() : fail(error)));
  });
}

/** A broker with 200 messages in a queue and two segments; the first has an index. */
async function filled(): Promise<Connection> {
  broker = await openBroker({ directory, segmentBytesMax: 64 * 1024 });
  const connection = broker.connect();
  await connection.declareExchange('orders', { type: 'topic' });
  await connection.declareQueue('billing');
  await connection.bindQueue('billing', 'orders', 'order.*');
  for (let i = 0; i < 200; i++) await publish(connection, 'billing', `${i} `.padEnd(400, 'x'));
  return connection;
}

async function closed(): Promise<void> {
  await filled();
  await broker?.close();
}

/** Changes a byte in the body of a message in the first segment. */
function damage(): void {
  const path = join(directory, 'journal', '0000000001.segment');
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('77 xxx')] = 0;
  writeFileSync(path, bytes);
}

describe('nestmq', () => {
  it('tells what it can do, and what was wrong with how it was called', async () => {
    expect(await nestmq('--help')).toMatchObject({ code: 0, out: expect.stringContaining('check DIR') });
    expect(await nestmq()).toMatchObject({ code: 2 });
    expect(await nestmq('mend', 'here')).toMatchObject({
      code: 2,
      err: expect.stringContaining("'mend' is no command of nestmq"),
    });
    expect(await nestmq('backup', 'here')).toMatchObject({
      code: 2,
      err: 'Give DIR and TO.\nUsage: nestmq backup DIR TO [--json]\n',
    });
    expect(await nestmq('check', '--force', 'here')).toMatchObject({
      code: 2,
      err: "Unknown option '--force'.\nUsage: nestmq check DIR [--json]\n",
    });
    expect((await nestmq('vhost')).err).toMatch(
      /^'vhost' is no command of nestmq\.\n(?!.*serve).*vhost add NAME/s,
    );
    const { version } = JSON.parse(readFileSync('packages/broker/package.json', 'utf8')) as {
      version: string;
    };
    expect(await nestmq('--version')).toMatchObject({ code: 0, out: `${version}\n` });
    expect(await nestmq('repair', '--help')).toMatchObject({
      code: 0,
      out: expect.stringContaining('--yes'),
    });
  });

  it.each(['check', 'repair', 'inspect'])('%s of what is no journal ends with 2', async (command) => {
    expect(await nestmq(command, directory)).toMatchObject({
      code: 2,
      err: "There is no directory 'TMP/mq'. Give the one that the broker was given.\n",
    });
    expect(await nestmq(command, parent, '--json')).toMatchObject({
      code: 2,
      out: expect.stringContaining('"code":"DIRECTORY_UNUSABLE"'),
    });
  });

  it('checks, repairs and checks again, in words', async () => {
    await closed();
    expect(await nestmq('check', directory)).toEqual({
      code: 0,
      err: '',
      out: expect.stringMatching(
        /^TMP\/mq: sound\n  2 segments, [\d.]+ KiB, \d+ records; 200 messages in queues\nNothing has to be done.\n$/,
      ),
    });
    damage();
    const checked = await nestmq('check', directory);
    expect(checked.code).toBe(1);
    expect(checked.out).toMatch(/^TMP\/mq: DAMAGED\n/);
    expect(checked.out).toMatch(
      /damage: 0000000001.segment, offset \d+, 4\d\d bytes: the checksum does not match the bytes. Lost: 1 message of billing.\n/,
    );
    expect(checked.out).toContain('Next: stop the broker, then `nestmq repair');

    const planned = await nestmq('repair', directory);
    expect(planned).toMatchObject({ code: 2, err: 'Nothing was changed. --yes confirms it.\n' });
    expect(planned.out).toMatch(/^TMP\/mq: to be repaired\n/);
    expect(existsSync(join(directory, 'journal', '0000000003.segment'))).toBe(false);

    const repaired = await nestmq('repair', directory, '--yes');
    expect(repaired).toMatchObject({ code: 0, err: '' });
    expect(repaired.out).toContain('kept: 199 messages in queues\n  lost: 1 message of billing, sequence ');
    expect(repaired.out).toContain('originals: TMP/mq/quarantine-NOW\nA broker can be started on it now.\n');
    expect(await nestmq('repair', directory)).toMatchObject({
      code: 0,
      out: 'TMP/mq: sound, nothing to repair\n',
    });
    expect((await nestmq('check', directory)).code).toBe(0);

    broker = await openBroker({ directory });
    expect(broker.connect().checkQueue('billing').messageCount).toBe(199);
  });

  it('gives one object with --json', async () => {
    await closed();
    damage();
    expect(JSON.parse((await nestmq('check', directory, '--json')).out)).toMatchObject({
      verdict: 'damaged',
      problems: [{ file: '0000000001.segment', lost: [{ queue: 'billing', messages: 1 }] }],
    });
    expect(JSON.parse((await nestmq('inspect', '--json', directory)).out)).toMatchObject({
      queues: [{ name: 'billing', messages: 200 }],
    });
    const planned = await nestmq('repair', directory, '--json');
    expect(planned.code).toBe(2);
    expect(JSON.parse(planned.out)).toMatchObject({ outcome: 'planned', kept: 199 });
    expect(JSON.parse((await nestmq('repair', directory, '--json', '--yes')).out)).toMatchObject({
      outcome: 'repaired',
      kept: 199,
    });
  });

  it('sees a torn tail as what a crash leaves', async () => {
    await closed();
    rmSync(join(directory, 'journal', 'durable'));
    const path = join(directory, 'journal', '0000000002.segment');
    truncateSync(path, readFileSync(path).length - 1);
    expect(await nestmq('check', directory)).toMatchObject({
      code: 0,
      out: expect.stringContaining('Nobody was promised them.'),
    });
  });

  it('looks at, and copies, the journal of a broker that runs, but does not repair it', async () => {
    const connection = await filled();
    const state = { isDone: false };
    const publishing = (async () => {
      while (!state.isDone) await publish(connection, 'billing', 'more');
    })();
    const copy = join(parent, 'copy');
    expect(await nestmq('check', directory)).toMatchObject({ code: 0 });
    expect(await nestmq('inspect', directory)).toMatchObject({
      code: 0,
      out: expect.stringContaining('queue billing: '),
    });
    expect(await nestmq('backup', directory, copy)).toMatchObject({
      code: 0,
      out: expect.stringContaining('TMP/mq is copied to TMP/copy, and the copy was read again: '),
    });
    expect(await nestmq('repair', directory, '--yes')).toEqual({
      code: 2,
      out: '',
      err: "A broker is running in 'TMP/mq'. Stop it to repair; `nestmq check` and `nestmq backup` may run beside it.\n",
    });
    state.isDone = true;
    await publishing;
    await broker?.close();
    broker = await openBroker({ directory: copy });
    expect(broker.connect().checkQueue('billing').messageCount).toBeGreaterThanOrEqual(200);
    expect(readdirSync(parent).toSorted()).toEqual(['copy', 'mq']);
  });

  it('copies to no directory that has something in it', async () => {
    await closed();
    expect(await nestmq('backup', directory, directory)).toMatchObject({
      code: 2,
      err: "The directory 'TMP/mq' is not empty. Give one that does not exist, or is empty.\n",
    });
  });

  it('copies nothing that is damaged', async () => {
    await closed();
    damage();
    expect(await nestmq('backup', directory, join(parent, 'copy'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('The copy of 0000000001.segment is damaged at offset'),
    });
    expect(readdirSync(parent)).not.toContain('copy');
  });
});
