import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { type RabbitMq, startRabbitMq } from '../peers/rabbitmq.js';

const NESTMQ = 'packages/broker/dist/bin/nestmq.js';
const KINDS = ['users', 'permissions', 'topic_permissions', 'exchanges', 'queues', 'bindings'];
type Document = Record<string, Record<string, unknown>[]>;

let directory: string;
let rabbit: RabbitMq | undefined;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-definitions-'));
  rabbit = await startRabbitMq({ installs: process.env['CI'] === 'true' });
}, 90_000);
afterAll(async () => {
  await rabbit?.stop();
  rmSync(directory, { recursive: true, force: true });
}, 30_000);

function nestmq(data: string, ...args: string[]): string {
  const all = [NESTMQ, ...args, '--data', join(directory, data)];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, {
    encoding: 'utf8',
    input: 'secret\n',
  });
  if (status !== 0) throw new Error(`nestmq ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** What RabbitMQ has, once it has what `isThere` looks for: it imports in the background. */
async function exported(from: RabbitMq, isThere: (document: Document) => boolean): Promise<Document> {
  const file = join(directory, 'from-rabbitmq.json');
  for (;;) {
    from.ctl('export_definitions', file);
    const document = JSON.parse(readFileSync(file, 'utf8')) as Document;
    if (isThere(document)) return document;
    await new Promise(setImmediate);
  }
}

/** Without the order, and without what only one of the two writes. */
function comparable(document: Document): Record<string, unknown> {
  const plain = (entry: Record<string, unknown>): string => {
    const { internal: _, nestmq_password_hash: __, ...rest } = entry;
    return JSON.stringify(Object.fromEntries(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1))));
  };
  return Object.fromEntries(KINDS.map((kind) => [kind, (document[kind] ?? []).map(plain).toSorted()]));
}

describe('definitions', () => {
  it('go from RabbitMQ here and back, and are the same', async () => {
    if (rabbit === undefined) return;
    rabbit.ctl('import_definitions', 'test/amqp/rabbitmq-3.10.8-definitions.json');
    const original = await exported(rabbit, ({ bindings = [] }) => bindings.length === 2);
    nestmq('here', 'definitions', 'import', join(directory, 'from-rabbitmq.json'));
    const back = join(directory, 'back.json');
    writeFileSync(back, nestmq('here', 'definitions', 'export'));
    expect(comparable(JSON.parse(readFileSync(back, 'utf8')) as Document)).toEqual(comparable(original));
    rabbit.ctl('delete_vhost', 'shop');
    rabbit.ctl('delete_user', 'u');
    rabbit.ctl('import_definitions', back);
    const again = await exported(
      rabbit,
      ({ bindings = [], users = [] }) => bindings.length === 2 && users.length === 3,
    );
    expect(comparable(again)).toEqual(comparable(original));
    await (await connect(rabbit.url.replace('guest:guest', 'u:u'))).close();
  }, 60_000);

  it('of users made here are taken by RabbitMQ, where they can not log in until they have a password', async () => {
    if (rabbit === undefined) return;
    nestmq('own', 'user', 'add', 'own', '--password-stdin');
    nestmq('own', 'permission', 'set', 'own', '.*', '.*', '.*');
    const file = join(directory, 'own.json');
    writeFileSync(file, nestmq('own', 'definitions', 'export'));
    rabbit.ctl('import_definitions', file);
    await exported(rabbit, ({ permissions = [] }) => permissions.some(({ user }) => user === 'own'));
    const url = rabbit.url.replace('guest:guest', 'own:secret');
    await expect(connect(url)).rejects.toThrow('ACCESS_REFUSED');
    rabbit.ctl('change_password', 'own', 'secret');
    await (await connect(url)).close();
  }, 60_000);
});
