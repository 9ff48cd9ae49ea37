import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from '@nestmq/broker';
import { connect } from 'amqplib';

const NESTMQ = 'packages/broker/dist/bin/nestmq.js';
let directory: string;
let data: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-administration-'));
  data = join(directory, 'data');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a command on the directory; returns its exit code and what it said. */
function nestmq(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [NESTMQ, ...args, '--data', data], {
    input,
    encoding: 'utf8',
  });
  return `${status}: ${stdout}${stderr}`;
}

function json(...args: string[]): unknown {
  return JSON.parse(nestmq([...args, '--json']).slice('0: '.length));
}

describe('nestmq user', () => {
  it('adds, changes, lists and deletes users, whose passwords come from the standard input', async () => {
    expect(
      nestmq(['user', 'add', 'u', '--tags', 'administrator, monitoring', '--password-stdin'], 'old\n'),
    ).toBe('0: ');
    expect(nestmq(['user', 'add', 'u', '--password-stdin'], 'x')).toBe("2: There is a user 'u' already.\n");
    expect(nestmq(['user', 'passwd', 'u', '--password-stdin'], 'new\n')).toBe('0: ');
    expect(nestmq(['permission', 'set', 'u', '.*', '.*', '.*'])).toBe('0: ');
    expect(json('user', 'list')).toEqual([{ name: 'u', tags: ['administrator', 'monitoring'] }]);
    const server = await createServer({ directory: data, port: 0 });
    const url = (password: string): string => `amqp://u:${password}@127.0.0.1:${server.port}`;
    await expect(connect(url('old'))).rejects.toThrow('ACCESS_REFUSED');
    await (await connect(url('new'))).close();
    await server.close();
    expect(nestmq(['user', 'delete', 'u'])).toBe('0: ');
    expect(nestmq(['user', 'delete', 'u'])).toBe("2: There is no user 'u'.\n");
    expect(nestmq(['user', 'list'])).toBe('0: ');
  });

  it('takes no password from the arguments, no empty one, and asks nobody who is not there', () => {
    expect(nestmq(['user', 'add', 'u', 'secret'])).toContain('2: Give NAME.\nUsage: nestmq user add NAME');
    expect(nestmq(['user', 'add', 'u'])).toBe('2: Nobody is there to be asked: give --password-stdin.\n');
    expect(nestmq(['user', 'add', 'u', '--password-stdin'], '\n')).toBe('2: The password is empty.\n');
  });
});

describe('nestmq vhost, permission and policy', () => {
  it('define what a broker then has', () => {
    nestmq(['user', 'add', 'u', '--password-stdin'], 'x');
    expect(nestmq(['vhost', 'add', 'shop', '--description', 'all of it'])).toBe('0: ');
    expect(nestmq(['vhost', 'add', 'shop'])).toBe("2: There is a vhost 'shop' already.\n");
    expect(nestmq(['permission', 'set', 'u', '^a', '^b', '^c', '--vhost', 'shop'])).toBe('0: ');
    expect(nestmq(['topic-permission', 'set', 'u', 'x', '^{username}', '', '--vhost', 'shop'])).toBe('0: ');
    expect(json('vhost', 'list')).toEqual([
      { name: '/', description: 'Default virtual host', tags: [] },
      { name: 'shop', description: 'all of it', tags: [] },
    ]);
    expect(json('permission', 'list')).toEqual({
      permissions: [{ user: 'u', vhost: 'shop', configure: '^a', write: '^b', read: '^c' }],
      topicPermissions: [{ user: 'u', vhost: 'shop', exchange: 'x', write: '^{username}', read: '' }],
    });
    expect(nestmq(['topic-permission', 'clear', 'u', '--vhost', 'shop', '--exchange', 'x'])).toBe('0: ');
    expect(nestmq(['permission', 'clear', 'u', '--vhost', 'shop'])).toBe('0: ');
    expect(json('permission', 'list')).toEqual({ permissions: [], topicPermissions: [] });
    expect(nestmq(['vhost', 'delete', 'shop'])).toBe('0: ');
    expect(nestmq(['vhost', 'delete', '/'])).toContain("2: The vhost '/' can't be deleted");
  });

  it('refuse what can not be, and say why', () => {
    nestmq(['user', 'add', 'u', '--password-stdin'], 'x');
    expect(nestmq(['permission', 'set', 'u', '(', '', ''])).toBe(
      "2: '(' is no regular expression: a ( without its ), at 1.\n",
    );
    expect(nestmq(['permission', 'set', 'u', '', '', '', '--vhost', 'no'])).toBe(
      "2: There is no vhost 'no'.\n",
    );
    expect(nestmq(['policy', 'set', 'p', '.*', '{"no-such-key":1}'])).toContain(
      "2: The policy 'p' sets 'no-such-key', which has no effect in this broker.",
    );
    expect(nestmq(['policy', 'set', 'p', '.*', 'x'])).toContain("2: DEFINITION is 'x'. Give a JSON object");
    expect(nestmq(['policy', 'clear', 'p'])).toBe("2: There is no policy 'p' in vhost '/'.\n");
    expect(json('policy', 'list')).toEqual([]);
    expect(nestmq(['user', 'rename', 'u'])).toContain("2: 'user rename' is no command of nestmq.");
  });

  it('change nothing while a broker runs, and list beside it', async () => {
    nestmq(['user', 'add', 'u', '--password-stdin'], 'x');
    const server = await createServer({ directory: data, port: 0 });
    expect(nestmq(['vhost', 'add', 'v'])).toBe(
      `2: A broker is running in '${data}'. Stop it to change what it has defined; listing and exporting may be done beside it.\n`,
    );
    expect(json('user', 'list')).toEqual([{ name: 'u', tags: [] }]);
    await server.close();
    expect(nestmq(['vhost', 'add', 'v'])).toBe('0: ');
  });
});

describe('nestmq serve', () => {
  async function firstLine(...args: string[]): Promise<string> {
    const child = spawn(process.execPath, [NESTMQ, 'serve', ...args]);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.startsWith('nestmq ready')) child.kill('SIGTERM');
      });
    return new Promise((resolve) => {
      child.once('close', (code) => resolve(`${code}: ${output}`));
    });
  }

  const config = (value: unknown): string => {
    const file = join(directory, 'config.json');
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };

  it('takes its options from a file, and arguments before it', async () => {
    const file = config({ directory: data, host: '127.0.0.1', port: 1, memoryHighWatermark: 0.9 });
    expect(await firstLine('--config', file, '--port', '0')).toMatch(
      /^0: nestmq ready amqp:\/\/127\.0\.0\.1:\d+\n$/,
    );
    expect(nestmq(['vhost', 'list'])).toContain('0: / ');
  });

  it('says in one line what is wrong with the file or an option, and does not start', async () => {
    const lines: [unknown, RegExp][] = [
      [
        { memry: 1 },
        /^2: The configuration file '.*' has 'memry', which is not an option; options are: directory, host, .*\n$/,
      ],
      [{ clock: 1 }, /^2: .* has 'clock', which is not an option/],
      ['{', /^2: The configuration file '.*config\.json' is no JSON \(.*\)\.\n$/],
      [[], /^2: The configuration file '.*' is no JSON object\.\n$/],
      [{ port: 'x' }, /^2: 'port' is 'x'\. Give one from 0 to 65535\.\n$/],
      [{ memoryHighWatermark: -1 }, /^2: 'memoryHighWatermark' is -1 \(number\)\. Give a share/],
      [{ tls: { certFile: 'no.pem' } }, /^2: 'tls\.keyFile' is missing\. Give the path of a PEM file\.\n$/],
    ];
    for (const [value, line] of lines)
      expect(await firstLine('--memory', '--config', config(value))).toMatch(line);
    expect(await firstLine('--memory', '--config', join(directory, 'no'))).toMatch(
      /^2: .*can't be read \(ENOENT\)\.\n$/,
    );
    expect(await firstLine('--memory', '--tls-cert', 'x')).toBe(
      '2: Give both --tls-cert FILE and --tls-key FILE.\n',
    );
    expect(await firstLine('--memory', '--port', 'none')).toMatch(
      /^2: 'port' is 'none'\. Give `tls` as well/,
    );
  });

  it('says where it is ready with TLS too', async () => {
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '2'];
    spawnSync('openssl', [...args, '-keyout', key, '-out', cert]);
    const files = ['--tls-cert', cert, '--tls-key', key];
    expect(await firstLine('--memory', '--port', '0', ...files, '--tls-port', '0')).toMatch(
      /^0: nestmq ready amqp:\/\/127\.0\.0\.1:\d+ amqps:\/\/127\.0\.0\.1:\d+\n$/,
    );
    expect(await firstLine('--memory', '--port', 'none', ...files, '--tls-port', '0')).toMatch(
      /^0: nestmq ready amqps:\/\/127\.0\.0\.1:\d+\n$/,
    );
  });
});

describe('nestmq definitions', () => {
  it('are exported and imported without a difference', async () => {
    nestmq(['user', 'add', 'u', '--tags', 'administrator', '--password-stdin'], 'secret');
    nestmq(['vhost', 'add', 'shop']);
    nestmq(['permission', 'set', 'u', '.*', '.*', '.*', '--vhost', 'shop']);
    nestmq(['topic-permission', 'set', 'u', 'x', 'a', 'b', '--vhost', 'shop']);
    const server = await createServer({ directory: data, port: 0 });
    const connection = server.broker.connect({ vhost: 'shop' });
    await connection.declareExchange('x', { type: 'topic' });
    await connection.declareQueue('q');
    await connection.bindQueue('q', 'x', 'a.#');
    await server.close();
    const inspected = spawnSync(process.execPath, [NESTMQ, 'inspect', data], { encoding: 'utf8' });
    expect(inspected.stdout).toContain("queue q in vhost 'shop': empty");
    const exported = nestmq(['definitions', 'export']);
    expect(exported).toContain("RabbitMQ can't compare the passwords of 1 user: set them there");
    const file = join(directory, 'definitions.json');
    writeFileSync(file, exported.slice('0: '.length, exported.lastIndexOf('}') + 1));
    data = join(directory, 'other');
    expect(nestmq(['definitions', 'import', file])).toBe(
      '0: Imported: users 1, vhosts 2, permissions 1, topicPermissions 1, exchanges 1, queues 1, bindings 1.\n',
    );
    expect(nestmq(['definitions', 'export'])).toBe(exported);
    const second = await createServer({ directory: data, port: 0 });
    await (await connect(`amqp://u:secret@127.0.0.1:${second.port}/shop`)).close();
    await second.close();
  });

  it('that the broker does not do are listed, and nothing is imported, or they are left out', () => {
    const file = join(directory, 'definitions.json');
    const queue = { vhost: '/', durable: true, auto_delete: false };
    writeFileSync(
      file,
      JSON.stringify({
        users: [
          { name: 'u', password: 'x', tags: '' },
          { name: 'old', password_hash: 'AAAA', hashing_algorithm: 'rabbit_password_hashing_md5' },
        ],
        permissions: [
          { user: 'u', vhost: '/', configure: '', write: '', read: '' },
          { user: 'u', vhost: 'limited', configure: '', write: '', read: '' },
          { user: 'old', vhost: '/', configure: '', write: '', read: '' },
        ],
        queues: [
          { ...queue, name: 'plain', arguments: {} },
          { ...queue, name: 'stream', arguments: { 'x-queue-type': 'stream' } },
        ],
        exchanges: [{ vhost: '/', name: 'x', type: 'x-unknown' }],
        bindings: [
          {
            vhost: '/',
            source: 'amq.topic',
            destination: 'plain',
            destination_type: 'queue',
            routing_key: 'a',
          },
          { vhost: '/', source: 'x', destination: 'plain', destination_type: 'queue', routing_key: 'a' },
        ],
        parameters: [{ component: 'shovel', vhost: '/', name: 's', value: {} }],
        global_parameters: [{ name: 'cluster_name', value: 'c' }],
        policies: [
          { vhost: '/', name: 'p', pattern: '.*', 'apply-to': 'all', definition: { 'ha-mode': 'all' } },
        ],
        vhosts: [{ name: 'limited', limits: [['max-queues', 5]] }],
        streams: [],
      }),
    );
    const refused = nestmq(['definitions', 'import', file]);
    const lines = [
      "'streams': is not known",
      "vhost 'limited': limits (max-queues) are not supported",
      "user 'old': hashing algorithm 'rabbit_password_hashing_md5' is not supported",
      "exchange 'x' in vhost '/': type 'x-unknown' is not supported",
      "queue 'stream' in vhost '/': NOT_IMPLEMENTED - x-queue-type 'stream' of queue 'stream' in vhost '/' is not implemented",
      "permission of user 'old' in vhost '/': its user is left out",
      "parameter 's' of shovel in vhost '/': is not supported",
      "policy 'p' in vhost '/': The policy 'p' sets 'ha-mode', which has no effect in this broker",
      "binding of queue 'plain' to exchange 'x' in vhost '/': its exchange is left out",
    ];
    for (const line of lines) expect(refused).toContain(`\n  ${line}`);
    expect(refused).toMatch(/^2: Nothing was imported/);
    expect(json('user', 'list')).toEqual([]);
    const report = json('definitions', 'import', file, '--skip-unsupported') as {
      imported: object;
      skipped: string[];
    };
    expect(report.imported).toMatchObject({
      users: 1,
      permissions: 2,
      vhosts: 1,
      queues: 1,
      exchanges: 0,
      bindings: 1,
    });
    expect(report.skipped).toHaveLength(lines.length);
    expect(json('user', 'list')).toEqual([{ name: 'u', tags: [] }]);
  });

  it.each([
    ['x', 'The definitions are no JSON.'],
    ['[]', 'Of the definitions, the document must be an object.'],
    ['{"users":1}', "Of the definitions, the document, 'users' must be a list."],
    ['{"users":[{"name":1}]}', "Of the definitions, 'users', number 1, 'name' must be a string."],
  ])('that are none are refused: %s', (text, why) => {
    expect(nestmq(['definitions', 'import', '-'], text)).toBe(`2: ${why}\n`);
  });

  it('are taken from the golden export of RabbitMQ 3.10.8', () => {
    const file = 'test/amqp/rabbitmq-3.10.8-definitions.json';
    expect(nestmq(['definitions', 'import', file])).toMatch(/^0: Imported: users 2, vhosts 2/);
    const exported = JSON.parse(nestmq(['definitions', 'export']).slice('0: '.length)) as Record<
      string,
      unknown
    >;
    const original = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    for (const kind of ['users', 'permissions', 'topic_permissions', 'queues', 'bindings'])
      expect(exported[kind]).toEqual(original[kind]);
  });
});
