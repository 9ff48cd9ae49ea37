import { describe, expect, it } from '@jest/globals';
import { ManualClock, type Message } from '@nestmq/broker';
import { firstValueFrom, from, Observable } from 'rxjs';
import type { HandlerOptions } from '../handler.options.js';
import type { ConsumeOptions, Link, Subscription } from '../links/link.js';
import { Wire } from '../wire/wire.js';
import { deferred, type Deferred, FakeDelivery, handlerOf, settled } from './handling.spec.support.js';
import { QueueHandlers } from './handler-table.js';
import { QueueConsumer, type QueueConsumerInit } from './queue-consumer.js';
import { Running } from './running.js';

/** A link that hands over what a test wants it to, and notes what it is told. */
class FakeLink {
  readonly published: Message[] = [];
  readonly delivered: FakeDelivery[] = [];
  consumers: ConsumeOptions[] = [];

  consume(_queue: string, options: ConsumeOptions): Promise<Subscription> {
    this.consumers.push(options);
    const cancel = (): void => {
      this.consumers = this.consumers.filter((one) => one !== options);
    };
    const giveUp = (): void => {
      cancel();
      for (const delivery of this.delivered) delivery.settledBy ??= 'given up';
    };
    return Promise.resolve({ cancel, giveUp });
  }

  publish(message: Message): void {
    this.published.push(message);
  }

  forward(delivery: FakeDelivery): Promise<void> {
    delivery.settledBy ??= 'forward';
    return Promise.resolve();
  }
}

class SlowWire extends Wire {
  readonly decoding: Deferred<unknown>[] = [];

  override decode(): unknown {
    this.decoding.push(deferred());
    return this.decoding.at(-1)?.promise;
  }
}

interface Handled {
  readonly pattern: string;
  readonly options?: HandlerOptions;
  readonly isEvent?: boolean;
  readonly handle: (data: never) => unknown;
}

function consumerOf(handled: readonly Handled[], wire = new Wire()) {
  const link = new FakeLink();
  const clock = new ManualClock();
  const handlers = new QueueHandlers('q');
  for (const { pattern, options, isEvent = true, handle } of handled)
    handlers.add(pattern, handle as never, isEvent, handlerOf(options).policy);
  const errors: unknown[] = [];
  const running = new Running();
  const hooks: QueueConsumerInit['hooks'] = {
    around: () => false,
    runWithProcessingHooks: () => {
      throw new Error('not hooked');
    },
    handleRequest: async (_context, produce, respond) => {
      const values = await produce();
      values.subscribe({
        next: (response) => void respond({ response }),
        error: (err: unknown) => void respond({ err }),
        complete: () => void respond({ isDisposed: true }),
      });
    },
    transformToObservable: (result) => (result instanceof Observable ? result : from([result])),
  };
  const consumer = new QueueConsumer({
    handlers,
    link: () => link as unknown as Link,
    deliveryLimit: 20,
    wire,
    clock,
    running,
    logger: { error: () => {}, warn: () => {} },
    report: (error) => errors.push(error),
    inbox: undefined,
    observer: undefined,
    witness: undefined,
    hooks,
  });
  const deliver = (pattern: string, message: Partial<Message> = {}): FakeDelivery => {
    const delivery = new FakeDelivery({}, { routingKey: pattern, ...message });
    link.delivered.push(delivery);
    link.consumers[0]?.onDelivery(delivery);
    return delivery;
  };
  return { link, clock, consumer, deliver, errors, running };
}

const request = (data: unknown): Partial<Message> => ({
  exchange: 'nestmq.requests',
  properties: { replyTo: 'caller', correlationId: 'c' },
  body: Buffer.from(JSON.stringify(data)),
});

describe('the consumer of a queue', () => {
  it('stops at once, and starts again', async () => {
    const seen: unknown[] = [];
    const { consumer, deliver, link } = consumerOf([{ pattern: 'p', handle: (data) => seen.push(data) }]);
    await consumer.start();
    await consumer.start();
    expect(link.consumers).toHaveLength(1);
    const [options] = link.consumers;
    consumer.stop();
    consumer.stop();
    expect(link.consumers).toHaveLength(0);
    const late = new FakeDelivery();
    options?.onDelivery(late);
    expect(late.settledBy).toBe('requeue');
    await consumer.start();
    const delivery = deliver('p');
    await settled();
    expect([seen, delivery.settledBy]).toEqual([[1], 'ack']);
  });

  it('keeps no consumer that came into being after it was stopped', async () => {
    const { consumer, link } = consumerOf([{ pattern: 'p', handle: () => undefined }]);
    const starting = consumer.start();
    consumer.stop();
    await starting;
    expect(link.consumers).toHaveLength(0);
  });

  it('lets go of a queue with an order only when what runs has ended; until then what comes is held', async () => {
    const end = deferred();
    const seen: string[] = [];
    const { consumer, deliver, link } = consumerOf([
      {
        pattern: 'ordered',
        options: { orderingKey: 'key' },
        handle: () => (seen.push('ordered'), end.promise),
      },
      { pattern: 'free', handle: () => seen.push('free') },
    ]);
    await consumer.start();
    const body = Buffer.from('{"key":1}');
    const [running, waiting] = [deliver('ordered', { body }), deliver('ordered', { body })];
    await settled();
    consumer.stop();
    const late = [deliver('ordered', { body }), deliver('free')];
    await settled();
    expect(link.consumers).toHaveLength(1);
    expect([running, waiting, ...late].map(({ settledBy }) => settledBy)).toEqual(Array(4).fill(undefined));
    end.resolve();
    await settled();
    expect(link.consumers).toHaveLength(0);
    expect([running, waiting, ...late].map(({ settledBy }) => settledBy)).toEqual([
      'ack',
      'given up',
      'given up',
      'given up',
    ]);
    expect(seen).toEqual(['ordered']);
  });

  it('starts again after it has let go, when that is asked for meanwhile', async () => {
    const end = deferred();
    const { consumer, deliver, link } = consumerOf([
      { pattern: 'p', options: { orderingKey: 'key' }, handle: () => end.promise },
    ]);
    await consumer.start();
    deliver('p', { body: Buffer.from('{"key":1}') });
    await settled();
    consumer.stop();
    const [before] = link.consumers;
    const started = consumer.start();
    end.resolve();
    await started;
    expect(link.consumers).toHaveLength(1);
    expect(link.consumers[0]).not.toBe(before);
  });

  it('stays stopped when it was started and stopped again while it was stopping', async () => {
    const end = deferred();
    const { consumer, deliver, link } = consumerOf([
      { pattern: 'p', options: { orderingKey: 'key' }, handle: () => end.promise },
    ]);
    await consumer.start();
    deliver('p', { body: Buffer.from('{"key":1}') });
    await settled();
    consumer.stop();
    const started = consumer.start();
    consumer.stop();
    end.resolve();
    await started;
    await settled();
    expect(link.consumers).toHaveLength(0);
  });

  it('begins in the order in which messages came, whichever is decoded first, when there is an order', async () => {
    const wire = new SlowWire();
    const seen: unknown[] = [];
    const { consumer, deliver } = consumerOf(
      [
        {
          pattern: 'p',
          options: { orderingKey: 'key' },
          handle: (data) => seen.push((data as { n: number }).n),
        },
      ],
      wire,
    );
    await consumer.start();
    for (let n = 0; n < 3; n++) deliver('p');
    for (const n of [2, 1, 0]) wire.decoding[n]?.resolve({ key: 'a', n });
    await settled();
    expect(seen).toEqual([0, 1, 2]);
  });

  it('keeps the order when a connection is lost and its messages come again', async () => {
    const seen: string[] = [];
    const ends: Deferred<void>[] = [];
    const { consumer, deliver, link, clock } = consumerOf([
      {
        pattern: 'p',
        options: { orderingKey: 'key', retry: { delay: 1000, jitter: 0 } },
        handle: (data) => {
          seen.push((data as { n: string }).n);
          ends.push(deferred());
          return ends.at(-1)?.promise;
        },
      },
    ]);
    await consumer.start();
    const come = (n: string): FakeDelivery =>
      deliver('p', { body: Buffer.from(JSON.stringify({ key: 'a', n })) });
    const loseAll = (...lost: FakeDelivery[]): void => {
      for (const delivery of lost) {
        delivery.lose();
        link.consumers[0]?.onLost?.(delivery);
      }
    };
    const [first, second] = [come('1'), come('2')];
    await settled();
    loseAll(first, second);
    const again = [come('1 again'), come('2 again')];
    await settled();
    expect(seen).toEqual(['1']);
    ends[0]?.resolve();
    await settled();
    expect(seen).toEqual(['1', '1 again']);
    // Lost once more, while it waits for its next attempt: that would be in vain.
    ends[1]?.reject(new Error('no'));
    await settled();
    loseAll(...again);
    const third = [come('1 third'), come('2 third')];
    await settled();
    expect(seen).toEqual(['1', '1 again', '1 third']);
    ends[2]?.resolve();
    await settled();
    ends[3]?.resolve();
    await settled();
    clock.advance(60_000);
    await settled();
    expect(seen).toEqual(['1', '1 again', '1 third', '2 third']);
    expect([first, second, ...again, ...third].map(({ settledBy }) => settledBy)).toEqual([
      'lost',
      'lost',
      'lost',
      'lost',
      'ack',
      'ack',
    ]);
  });

  it('sends a caller nothing more when the time of the handler was over', async () => {
    const values = deferred<string>();
    const { consumer, deliver, clock, link } = consumerOf([
      { pattern: 'p', isEvent: false, options: { timeoutMs: 100 }, handle: () => values.promise },
    ]);
    await consumer.start();
    const delivery = deliver('p', request(1));
    await settled();
    clock.advance(100);
    await settled();
    values.resolve('too late');
    await settled();
    expect(link.published.map(({ properties: { type } }) => type)).toEqual(['error']);
    expect(delivery.settledBy).toBe('ack');
  });

  it('gives a request back that waits for its turn when it stops, so that another instance answers', async () => {
    const { consumer, deliver, link } = consumerOf([
      {
        pattern: 'p',
        isEvent: false,
        options: { concurrency: 1 },
        handle: () => firstValueFrom(new Observable()),
      },
    ]);
    await consumer.start();
    deliver('p', request(1));
    const waiting = deliver('p', request(2));
    await settled();
    consumer.stop();
    await settled();
    expect([waiting.settledBy, link.published]).toEqual(['requeue', []]);
  });

  it('does not begin a request that has waited for others of its handler until nobody waited for it', async () => {
    const seen: unknown[] = [];
    const held = deferred<string>();
    const handle = (data: unknown): unknown => {
      seen.push(data);
      return data === 'first' ? held.promise : data;
    };
    const { consumer, deliver, link, clock } = consumerOf([
      { pattern: 'ask', isEvent: false, handle, options: { concurrency: 1 } },
    ]);
    await consumer.start();
    const expiring = (data: string, expiration: string): FakeDelivery => {
      const plain = request(data);
      return deliver('ask', { ...plain, properties: { ...plain.properties, expiration } });
    };
    const [first, late, last] = [
      expiring('first', '100'),
      expiring('late', '1000'),
      expiring('last', '1001'),
    ];
    await settled();
    clock.advance(1000);
    held.resolve('answer');
    await settled();
    expect(seen).toEqual(['first', 'last']);
    expect([first, late, last].map(({ settledBy }) => settledBy)).toEqual(['ack', 'ack', 'ack']);
    expect(link.published.map(({ body }) => body.toString())).toEqual(['"answer"', '', '"last"', '']);
  });

  it('handles an event whose time is over while it waits here', async () => {
    const seen: unknown[] = [];
    const held = deferred();
    const handle = (data: unknown): unknown => {
      seen.push(data);
      return held.promise;
    };
    const { consumer, deliver, clock } = consumerOf([{ pattern: 'p', handle, options: { concurrency: 1 } }]);
    await consumer.start();
    deliver('p');
    deliver('p', { properties: { expiration: '10' } });
    await settled();
    clock.advance(1000);
    held.resolve();
    await settled();
    expect(seen).toEqual([1, 1]);
  });
});
