import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from './clock.js';
import { consumeInto, idle, publishAll, to } from './engine.spec.support.js';
import { RuledBroker, TO_DEAD } from './ruled-broker.spec.support.js';

const on = new RuledBroker();
afterEach(() => on.broker.close());

/** Time that has passed while the process was busy: no timer has fired yet. */
class BusyClock extends ManualClock {
  behindMs = 0;

  override now(): number {
    return super.now() + this.behindMs;
  }
}

describe('time to live', () => {
  it("ends when the lower of the queue's and the message's own is over, at the head of the queue", async () => {
    await on.fresh();
    await on.declare('q', { 'x-message-ttl': 1000 });
    on.connection.publish(to('q', 'short', { properties: { expiration: '100' } }));
    on.connection.publish(to('q', 'long', { properties: { expiration: '5000' } }));
    on.clock.advance(99);
    expect(on.count('q')).toBe(2);
    on.clock.advance(1);
    expect(on.count('q')).toBe(1);
    on.clock.advance(899);
    expect(on.count('q')).toBe(1);
    on.clock.advance(1);
    expect(on.count('q')).toBe(0);
  });

  it('does not end behind a message that lives', async () => {
    await on.fresh();
    await on.declare('q');
    on.connection.publish(to('q', 'first', { properties: { expiration: '100' } }));
    on.connection.publish(to('q', 'second', { properties: { expiration: '10' } }));
    on.clock.advance(50);
    expect(on.count('q')).toBe(2);
    on.clock.advance(50);
    expect(on.count('q')).toBe(0);
  });

  it('of 0 ends at once, unless a consumer waits', async () => {
    await on.fresh();
    await on.declare('q', { 'x-message-ttl': 0 });
    publishAll(on.connection, 'q', ['nobody']);
    expect(on.count('q')).toBe(0);
    const { inbox } = consumeInto(on.connection, 'q');
    publishAll(on.connection, 'q', ['somebody']);
    on.clock.advance(1);
    await idle();
    expect(inbox.bodies).toEqual(['somebody']);
  });

  it('has ended for what was there before its consumer came, though another message comes at the same moment', async () => {
    const busy = new BusyClock();
    on.clock = busy;
    await on.start();
    await on.declare('q');
    on.connection.publish(to('q', 'old', { properties: { expiration: '100' } }));
    busy.behindMs = 100;
    const { inbox } = consumeInto(on.connection, 'q');
    on.connection.publish(to('q', 'new', { properties: { expiration: '0' } }));
    await idle();
    expect(inbox.bodies).toEqual(['new']);
  });

  it('goes on through a restart, and ends also while there is no broker', async () => {
    await on.fresh({ durable: true });
    await on.declare('dead');
    await on.declare('q', { 'x-message-ttl': 1000, ...TO_DEAD });
    publishAll(on.connection, 'q', ['a']);
    on.clock.advance(600);
    publishAll(on.connection, 'q', ['b']);
    await on.restart();
    expect(on.count('q')).toBe(2);
    on.clock.advance(400);
    await idle();
    expect(await on.drain('dead')).toEqual(['a']);
    await on.connection.durable();
    await on.broker.close();
    on.clock.advance(1000);
    await on.start(on.disk);
    await idle();
    expect(await on.drain('dead')).toEqual(['b']);
    expect(on.count('q')).toBe(0);
  });

  it('counts for a message that comes back after its end', async () => {
    await on.fresh();
    await on.declare('dead');
    await on.declare('q', { 'x-message-ttl': 100, ...TO_DEAD });
    publishAll(on.connection, 'q', ['a']);
    const delivery = await on.connection.get('q');
    on.clock.advance(200);
    delivery?.requeue({ failed: true });
    expect(await on.drain('q')).toEqual([]);
    expect(await on.drain('dead')).toEqual(['a']);
  });

  it('longer than a timer can be is not over at once', async () => {
    await on.fresh();
    await on.declare('q', { 'x-message-ttl': 2 ** 31 + 1000 });
    publishAll(on.connection, 'q', ['a']);
    on.clock.advance(2 ** 31);
    expect(on.count('q')).toBe(1);
    on.clock.advance(1000);
    expect(on.count('q')).toBe(0);
  });

  it("refuses an expiration that is none, in RabbitMQ's words", async () => {
    await on.fresh();
    await on.declare('q');
    const publish = (expiration: string) => () =>
      on.connection.publish(to('q', '', { properties: { expiration } }));
    expect(publish('abc')).toThrow("PRECONDITION_FAILED - invalid expiration 'abc': no_integer");
    expect(publish('1.5')).toThrow(`invalid expiration '1.5': {leftover_string,".5"}`);
    expect(publish('-1')).toThrow("invalid expiration '-1': {value_negative,-1}");
    expect(publish('315360000001')).toThrow(
      "invalid expiration '315360000001': {value_too_large,315360000001}",
    );
  });
});

describe('a queue with x-expires', () => {
  it('is deleted when nobody has used it for so long', async () => {
    await on.fresh({ durable: true });
    await on.declare('q', { 'x-expires': 1000 });
    on.clock.advance(900);
    await on.declare('q', { 'x-expires': 1000 });
    on.clock.advance(900);
    await on.connection.get('q');
    on.clock.advance(900);
    const { consumer } = consumeInto(on.connection, 'q');
    on.clock.advance(5000);
    on.connection.cancel(consumer);
    on.clock.advance(999);
    expect(on.count('q')).toBe(0);
    await on.restart();
    on.clock.advance(999);
    expect(on.count('q')).toBe(0);
    on.clock.advance(1);
    expect(() => on.count('q')).toThrow("no queue 'q'");
    await on.restart();
    expect(() => on.count('q')).toThrow("no queue 'q'");
  });
});
