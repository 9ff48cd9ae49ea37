import { beforeEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from './clock.js';
import type { Message } from './message/message.js';
import { QueueIds } from './queue/queue-ids.js';
import { MemoryStore } from './store/memory-store.js';
import { Turns } from './turns.js';
import { Vhost } from './vhost.js';

let store: MemoryStore;
let vhost: Vhost;

beforeEach(() => {
  store = new MemoryStore();
  vhost = new Vhost('/', {
    store,
    ids: new QueueIds(),
    clock: new ManualClock(),
    random: () => 0,
    schedule: new Turns().schedule,
    later: () => {},
    onReadFailure: () => {},
  });
  for (const queue of ['q', 'r']) vhost.declareQueue(queue, {}, {});
});

function names(exchange: string, key: string, copyKeys?: readonly string[], id?: string): string[] {
  const headers = { CC: ['r'], ...(id === undefined ? {} : { 'x-deduplication-header': id }) };
  const envelope: Omit<Message, 'body'> = { exchange, routingKey: key, properties: { headers } };
  return [...vhost.onwards(envelope, copyKeys).queues].map(({ name }) => name);
}

describe('the queues of a message that the broker sends itself', () => {
  it('are found by its routing key and what copies it is told of, not by its headers', () => {
    expect(names('', 'q')).toEqual(['q']);
    expect(names('', 'q', ['r', 'q'])).toEqual(['q', 'r']);
    expect(names('', 'none')).toEqual([]);
  });

  it('are found through an internal exchange, and not through one that is not there', () => {
    vhost.declareExchange('inner', { type: 'fanout', internal: true });
    vhost.bind({ source: 'inner', destination: 'q', key: '' }, {});
    expect(names('inner', 'k')).toEqual(['q']);
    expect(names('missing', 'k')).toEqual([]);
  });

  it('are the same again when the store could not take the message', () => {
    vhost.declareExchange('once', { type: 'x-message-deduplication', arguments: { 'x-cache-size': 9 } });
    vhost.bind({ source: 'once', destination: 'q', key: '' }, {});
    Object.defineProperty(store, 'failure', { value: new Error('the disk fails'), configurable: true });
    expect(names('once', 'k', [], '1')).toEqual(['q']);
    Object.defineProperty(store, 'failure', { value: undefined });
    expect(names('once', 'k', [], '1')).toEqual(['q']);
    expect(names('once', 'k', [], '1')).toEqual([]);
  });
});
