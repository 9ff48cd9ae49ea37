import { describe, expect, it } from '@jest/globals';
import { RmqRecordBuilder } from '@nestjs/microservices';
import {
  delayMsOf,
  QueueRecord,
  QueueRecordBuilder,
  type QueueRecordOptions,
  recordIn,
} from './queue.record.js';

const NOW = Date.UTC(2026, 0, 1);

describe('a record', () => {
  it('is built by setters, or by setOptions, as Nest’s own are', () => {
    const scheduleAt = new Date(NOW);
    const record = new QueueRecordBuilder({ id: 7 })
      .setHeaders({ a: 1, b: 'x' })
      .setHeader('c', null)
      .setPriority(9)
      .setExpiration('5m')
      .setDeduplicationId('d')
      .setOrderingKey('k')
      .setCorrelationId('c')
      .setTimeout('2s')
      .setPersistent(false)
      .setMandatory(true)
      .build();
    expect(record).toBeInstanceOf(QueueRecord);
    expect(record.data).toEqual({ id: 7 });
    const headers = { a: 1, b: 'x', c: null };
    const ids = { deduplicationId: 'd', orderingKey: 'k', correlationId: 'c' };
    const flags = { persistent: false, mandatory: true };
    const expected = { headers, priority: 9, expiration: '5m', timeout: '2s', ...ids, ...flags };
    expect(record.options).toEqual(expected);
    expect(new QueueRecordBuilder().setData(1).setOptions(expected).build()).toEqual(
      new QueueRecord(1, expected),
    );
    expect(new QueueRecordBuilder(1).setScheduleAt(scheduleAt).build().options).toEqual({ scheduleAt });
    const again = new QueueRecordBuilder(1).setDelay(5).setMessageId('m').setOptions({ priority: 1 }).build();
    expect(again.options).toEqual({ priority: 1 });
  });

  it('does not change with the builder, or with the options that it was made of', () => {
    const options = { priority: 1 };
    const builder = new QueueRecordBuilder(1, options);
    const record = builder.build();
    builder.setPriority(2);
    options.priority = 3;
    expect(record.options.priority).toBe(1);
  });

  it.each<[string, object]>([
    ["the record has the unknown option 'ttl'. Options here are: headers, priority,", { ttl: 5 }],
    ["'headers' is 'x'.", { headers: 'x' }],
    ["'headers' has the name 'x-nestmq-attempts'", { headers: { 'x-nestmq-attempts': 1 } }],
    ["'headers' has the name ''", { headers: { '': 1 } }],
    ["'headers.a.0' is", { headers: { a: [() => 1] } }],
    ["'headers.a' is Symbol(x) (symbol)", { headers: { a: Symbol('x') } }],
    ["'priority' is 256 (number). Give a whole number from 0 to 255.", { priority: 256 }],
    ["'priority' is '1'.", { priority: '1' }],
    ["'expiration' is 'soon'. Give milliseconds", { expiration: 'soon' }],
    ["'expiration' is -1", { expiration: -1 }],
    ["'delay' is '4000d'.", { delay: '4000d' }],
    ["'scheduleAt' is 'tomorrow'.", { scheduleAt: 'tomorrow' }],
    ["'scheduleAt' is an object. Give a valid Date", { scheduleAt: new Date('x') }],
    ["'deduplicationId' is ''. Give a string of 1 to 255 bytes.", { deduplicationId: '' }],
    ["'orderingKey' is 5", { orderingKey: 5 }],
    ["'messageId' is 'üüü", { messageId: 'ü'.repeat(128) }],
    ["'correlationId' is null", { correlationId: null }],
    ["'timeout' is '30 days'.", { timeout: '30 days' }],
    ["'timeout' is '25d'.", { timeout: '25d' }],
    ["'persistent' is 'yes'.", { persistent: 'yes' }],
    ["'mandatory' is 1", { mandatory: 1 }],
    ["has both 'delay' and 'scheduleAt'", { delay: 1, scheduleAt: NOW }],
    ["has another 'messageId' than its 'deduplicationId'", { messageId: 'a', deduplicationId: 'b' }],
    ["has 'expiration', and is delayed", { delay: 1, expiration: 1 }],
    ["is 'mandatory', and is delayed", { scheduleAt: NOW, mandatory: true }],
  ])('that can not be meant is refused: %s', (message, options) => {
    expect(() => new QueueRecord(1, options as QueueRecordOptions)).toThrow(message);
    expect(() => new QueueRecordBuilder(1, options as QueueRecordOptions)).toThrow(message);
    expect(() => new QueueRecordBuilder(1).setOptions(options as QueueRecordOptions)).toThrow(message);
    expect(() => new QueueRecord(1, 5 as never)).toThrow("'options of a record' is 5");
  });

  it('is refused by the setter that makes it wrong', () => {
    const builder = new QueueRecordBuilder(1).setDelay('5s');
    expect(() => builder.setScheduleAt(NOW)).toThrow("both 'delay' and 'scheduleAt'");
    expect(builder.build().options).toEqual({ delay: '5s' });
  });

  it('may have headers of any kind that AMQP has', () => {
    const headers = { a: [1n, null, { b: new Date(0), c: Buffer.from('x') }], d: true, e: undefined, f: 1.5 };
    expect(new QueueRecord(1, { headers }).options.headers).toBe(headers);
    let deep: object = {};
    for (let depth = 0; depth < 40; depth++) deep = { deep };
    expect(() => new QueueRecord(1, { headers: deep as never })).toThrow('more than 32 tables');
  });

  it.each<[QueueRecordOptions, number]>([
    [{}, 0],
    [{ delay: '1.5s' }, 1500],
    [{ delay: 0.2 }, 1],
    [{ scheduleAt: NOW + 5000 }, 5000],
    [{ scheduleAt: new Date(NOW + 5000) }, 5000],
    [{ scheduleAt: new Date(0) }, 0],
  ])('%j comes so many milliseconds later: %d', (options, delayMs) => {
    expect(delayMsOf(options, NOW)).toBe(delayMs);
  });

  it('can not come after more than ten years', () => {
    expect(() => delayMsOf({ scheduleAt: Date.UTC(2036, 6) }, NOW)).toThrow('Give a time within ten years.');
  });

  it('may be Nest’s RmqRecord, as far as its options are known', () => {
    const rmq = new RmqRecordBuilder({ id: 7 }).setOptions({
      headers: { a: 'x' },
      priority: 3,
      expiration: '1000',
      deliveryMode: 2,
      messageId: 'm',
    });
    const options = { headers: { a: 'x' }, priority: 3, expiration: 1000, persistent: true, messageId: 'm' };
    expect(recordIn(rmq.build())).toEqual(new QueueRecord({ id: 7 }, options));
    expect(recordIn(new RmqRecordBuilder(1).build())).toEqual(new QueueRecord(1));
    const cc = new RmqRecordBuilder(1).setOptions({ CC: 'other' }).build();
    expect(() => recordIn(cc)).toThrow("the record has the unknown option 'CC'");
    expect(recordIn({ data: 1, options: {} })).toBeUndefined();
  });
});
