import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import '@nestmq/testing/jest';
import { Desk } from './desk.js';
import { type Hold, Outside, Seats, type Ticket } from './ferry.js';
import { FerryModule } from './ferry.module.js';

/** Takes down what it is asked for, and then may fail. */
class FakeOutside extends Outside {
  readonly asked: string[] = [];
  readonly #failures: { readonly asked: string; readonly error: Error }[] = [];
  onPrint = (): void => {};

  /** The next time that it is asked for that, it does not work. */
  failNext(asked: string, error: Error, times = 1): void {
    for (let i = 0; i < times; i++) this.#failures.push({ asked, error });
  }
  async print({ seat }: Ticket): Promise<void> {
    this.onPrint();
    this.#ask(`print ${seat}`);
  }
  async text(passenger: string, text: string): Promise<void> {
    this.#ask(`text to ${passenger}: ${text}`);
  }
  async report(line: string): Promise<void> {
    this.#ask(line);
  }
  #ask(asked: string): void {
    this.asked.push(asked);
    const next = this.#failures.findIndex((failure) => failure.asked === asked);
    const [failure] = next === -1 ? [] : this.#failures.splice(next, 1);
    if (failure !== undefined) throw failure.error;
  }
}

const TEXT = 'text to Ada: your seat is 1';
const ignore = (): void => {};
let outside: FakeOutside;
let harness: QueueTestHarness;
const desk = (): Desk => harness.module.get(Desk);

beforeEach(async () => {
  outside = new FakeOutside();
  // A database outlives the process, also in a test that kills it.
  const seats = new Seats();
  const builder = (): TestingModuleBuilder =>
    Test.createTestingModule({ imports: [FerryModule] })
      .overrideProvider(Outside)
      .useValue(outside)
      .overrideProvider(Seats)
      .useValue(seats)
      .setLogger({ log: ignore, warn: ignore, error: ignore });
  harness = await QueueTestHarness.start(builder, { clock: 'manual' });
});
afterEach(() => harness.close());

/** Whether it has come to an end can be looked at. */
function watched<T>(promise: Promise<T>): { promise: Promise<T>; isSettled: () => boolean } {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  return { promise, isSettled: () => isOver };
}

/** Ada pays for the first seat. */
async function pay(reference = 'p-1'): Promise<Hold> {
  const hold = await desk().book('Ada');
  await desk().paid({ reference, hold });
  return hold;
}

describe('a seat', () => {
  it('is held for a quarter of an hour', async () => {
    expect(await desk().book('Ada')).toMatchObject({ seat: 1, passenger: 'Ada' });
    expect(await desk().book('Grace')).toMatchObject({ seat: 2 });
    await expect(desk().book('Edsger')).rejects.toEqual({ code: 'SOLD_OUT' });
    await harness.advance('899s');
    await expect(desk().book('Edsger')).rejects.toEqual({ code: 'SOLD_OUT' });
    await harness.advance('1s');
    expect(await desk().book('Edsger')).toMatchObject({ seat: 1 });
  });

  it('is promised when it is on the disk that it is free again after that', async () => {
    const confirm = harness.delayConfirms();
    const { promise, isSettled } = watched(desk().book('Ada'));
    await harness.published('hold.over');
    await harness.advance(0);
    expect(isSettled()).toBe(false);
    confirm();
    expect(await promise).toMatchObject({ seat: 1 });
  });

  it('stays sold when it is paid', async () => {
    await pay();
    await harness.advance('15m');
    expect(await desk().book('Grace')).toMatchObject({ seat: 2 });
  });
});

describe('a payment', () => {
  it('brings a ticket, and all are told', async () => {
    const { seat } = await pay();
    await expect(harness).toHaveConsumed('payment.received', expect.objectContaining({ reference: 'p-1' }));
    await expect(harness).toHavePublished('ticket.issued', { seat, passenger: 'Ada' });
    await harness.consumed('ticket.issued').times(2);
    expect(outside.asked.toSorted()).toEqual(['print 1', 'seat 1: sold', TEXT]);
  });

  it('is acknowledged to the bank when it is on the disk', async () => {
    const hold = await desk().book('Ada');
    const confirm = harness.delayConfirms();
    const { promise, isSettled } = watched(desk().paid({ reference: 'p-1', hold }));
    await harness.published('payment.received');
    await harness.advance(0);
    expect(isSettled()).toBe(false);
    confirm();
    await promise;
  });

  it('brings one ticket though the bank tells of it twice', async () => {
    const hold = await pay();
    await desk().paid({ reference: 'p-1', hold });
    await harness.advance(0);
    expect(harness.consumed('payment.received').count).toBe(1);
    expect(outside.asked.filter((what) => what === 'print 1')).toHaveLength(1);
  });

  it('waits for the printer: a minute, ten minutes, an hour', async () => {
    outside.failNext('print 1', new Error('no paper'), 3);
    await pay();
    const { error } = await harness.retried('payment.received');
    expect(error).toEqual(new Error('no paper'));
    await harness.advance('71m');
    const { attempt } = await harness.consumed('payment.received');
    expect(attempt).toBe(4);
    const delays = harness.retried('payment.received').all.map(({ delayMs }) => delayMs);
    expect(delays).toEqual([60_000, 600_000, 3_600_000]);
    // Nobody is told of a ticket that there is not.
    await harness.idle();
    expect(outside.asked.filter((asked) => asked === TEXT)).toHaveLength(1);
    await expect(harness).not.toHaveDeadLettered('#');
  });

  it('is paid back by people when the fourth attempt fails', async () => {
    harness.failNext('payment.received', new Error('no paper'), 4);
    await pay();
    await harness.advance('2h');
    await expect(harness).toHaveDeadLettered('payment.received');
    const [refund] = await harness.broker.take('refunds', 1);
    expect(refund?.data).toMatchObject({ reference: 'p-1' });
  });

  it('is paid back at once when the seat is somebody else’s by then', async () => {
    const late = await desk().book('Ada');
    await harness.advance('15m');
    await desk().book('Grace');
    await desk().paid({ reference: 'p-2', hold: late });
    expect(await harness.deadLettered()).toMatchObject({ reason: 'unrecoverable', attempt: 1 });
    expect(harness.broker.messageCount('refunds')).toBe(1);
  });

  it('brings a ticket that all are told of, though the process dies before that is on the disk', async () => {
    outside.onPrint = () => void harness.full();
    await pay();
    await harness.published('ticket.issued');
    await harness.advance(0);
    await harness.crash();
    outside.onPrint = ignore;
    await harness.restart();
    await harness.consumed('ticket.issued').times(2);
    expect(outside.asked).toContain(TEXT);
  });
});

describe('a ticket', () => {
  it('is texted once, also when it is unsure whether the text went out', async () => {
    outside.failNext(TEXT, new Error('timed out'));
    await pay();
    await harness.advance('1d');
    expect(outside.asked.filter((asked) => asked === TEXT)).toHaveLength(1);
  });

  it('is sold before it is used, also to an office that was away', async () => {
    outside.failNext('seat 1: sold', new Error('closed'), 2);
    const ticket = await pay();
    await harness.retried('ticket.issued');
    await desk().boarded(ticket);
    await harness.advance('1m');
    const told = outside.asked.filter((asked) => asked.startsWith('seat 1'));
    expect(told).toEqual(['seat 1: sold', 'seat 1: sold', 'seat 1: sold', 'seat 1: on board']);
  });
});

it('needs these queues', async () => {
  expect(await harness.broker.recordTopology()).toMatchSnapshot();
});
