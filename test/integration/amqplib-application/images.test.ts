import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type Channel, type ChannelModel, connect, type ConsumeMessage } from 'amqplib';
import { Publisher } from './publisher.js';
import { serveSizes, Sizes } from './sizes.js';
import { declare, FAILED, JOBS, QUEUE, RETRIES, RETRY_DELAY_MS, SIZES } from './topology.js';
import { type Handle, startWorker } from './worker.js';

const AMQP_URL = process.env['AMQP_URL'] ?? 'amqp://localhost';

let connection: ChannelModel;
let channel: Channel;
before(async () => {
  connection = await connect(AMQP_URL);
  channel = await connection.createChannel();
});
after(() => connection.close());
beforeEach(() => declare(channel));
afterEach(async () => {
  for (const queue of [QUEUE, RETRIES, FAILED, SIZES]) await channel.deleteQueue(queue);
  await channel.deleteExchange(JOBS);
});

/** Collects what a worker is given. */
class Jobs {
  readonly seen: [job: unknown, attempt: number, at: number][] = [];
  #onSeen = (): void => {};
  add(job: unknown, attempt: number): void {
    this.seen.push([job, attempt, Date.now()]);
    this.#onSeen();
  }
  until(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onSeen = () => {
        if (this.seen.length >= count) resolve();
      };
      this.#onSeen();
    });
  }
}

/** The first message of a queue. */
async function first(queue: string): Promise<ConsumeMessage> {
  const own = await connection.createChannel();
  const message = await new Promise<ConsumeMessage>((resolve) => {
    void own.consume(queue, (one) => one !== null && resolve(one), { noAck: true });
  });
  await own.close();
  return message;
}

void describe('jobs', () => {
  let publisher: Publisher;
  let workers: Channel[];
  beforeEach(async () => {
    publisher = await Publisher.open(connection);
    workers = [];
  });
  afterEach(async () => {
    for (const worker of workers) await worker.close();
    await publisher.close();
  });
  const work = async (handle: Handle, prefetch = 10): Promise<void> => {
    workers.push(await startWorker(connection, handle, prefetch));
  };

  void it('are handled, each once', async () => {
    const jobs = new Jobs();
    await work(async (job, attempt) => jobs.add(job, attempt));
    for (const name of ['a', 'b']) await publisher.publish('image.png.uploaded', { name }, name);
    await jobs.until(2);
    assert.deepEqual(
      jobs.seen.map(([job, attempt]) => [job, attempt]),
      [
        [{ name: 'a' }, 1],
        [{ name: 'b' }, 1],
      ],
    );
  });

  void it('that nobody wants come back to who has published them', async () => {
    await assert.rejects(publisher.publish('image.deleted', {}, '1'), /Nobody wants 'image.deleted'/);
    await publisher.publish('image.png.uploaded', {}, '2');
  });

  void it('wait, while a worker has as many as it wants', async () => {
    const jobs = new Jobs();
    const finish: (() => void)[] = [];
    const handle: Handle = (job, attempt) =>
      new Promise((resolve) => {
        finish.push(resolve);
        jobs.add(job, attempt);
      });
    for (const name of ['a', 'b', 'c']) await publisher.publish('image.png.uploaded', { name }, name);
    await work(handle, 2);
    await jobs.until(2);
    assert.equal((await channel.checkQueue(QUEUE)).messageCount, 1);
    assert.equal(jobs.seen.length, 2);
    finish[0]?.();
    await jobs.until(3);
    for (const one of finish) one();
  });

  void it('that fail come again after a while, and are counted', async () => {
    const jobs = new Jobs();
    await work(async (job, attempt) => {
      jobs.add(job, attempt);
      if (attempt < 3) throw new Error('no memory');
    });
    await publisher.publish('image.png.uploaded', { name: 'a' }, 'a');
    await jobs.until(3);
    assert.deepEqual(
      jobs.seen.map(([, attempt]) => attempt),
      [1, 2, 3],
    );
    const times = jobs.seen.map(([, , at]) => at);
    const tookMs = Math.max(...times) - Math.min(...times);
    assert.ok(tookMs >= 2 * RETRY_DELAY_MS, `${tookMs} ms`);
  });

  void it('that fail for good are kept, with why', async () => {
    await work(async () => {
      throw new Error('no image');
    });
    await publisher.publish('image.gif.uploaded', { name: 'a' }, 'a');
    const { content, properties } = await first(FAILED);
    assert.deepEqual(JSON.parse(content.toString()), { name: 'a' });
    assert.equal(properties.messageId, 'a');
    assert.deepEqual(properties.headers, { error: 'no image', attempts: 3 });
  });

  void it('that a worker had when it died go to another one', async () => {
    const dying = await connect(AMQP_URL);
    dying.on('error', () => {});
    const taken = await dying.createChannel();
    const got = new Promise((resolve) => {
      void taken.consume(QUEUE, resolve);
    });
    await publisher.publish('image.png.uploaded', { name: 'a' }, 'a');
    await got;
    const closed = new Promise((resolve) => {
      dying.on('close', resolve);
    });
    const { stream } = dying.connection as unknown as { readonly stream: Socket };
    stream.destroy(new Error('the cable was cut'));
    await closed;
    assert.equal((await first(QUEUE)).fields.redelivered, true);
  });
});

void describe('sizes', () => {
  void it('are asked for by many at once, and each gets its own answer', async () => {
    const server = await connect(AMQP_URL);
    await serveSizes(server, (name) => {
      if (name === '') throw new Error('no name');
      return name.length;
    });
    const sizes = await Sizes.open(connection);
    const answers = await Promise.all(['a', 'bb', 'ccc'].map((name) => sizes.of(name)));
    assert.deepEqual(answers, [1, 2, 3]);
    await assert.rejects(sizes.of(''), /no name/);
    await server.close();
  });

  void it('are not waited for without end, and old questions are gone', async () => {
    const sizes = await Sizes.open(connection);
    await assert.rejects(sizes.of('a'), /no answer/);
    // The broker counts from when it has got it.
    while ((await channel.checkQueue(SIZES)).messageCount > 0);
  });
});
