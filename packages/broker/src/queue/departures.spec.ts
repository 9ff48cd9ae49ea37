import { describe, expect, it } from '@jest/globals';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import { MemoryStore } from '../store/memory-store.js';
import type { Turn } from '../turns.js';
import { Departures } from './departures.js';
import type { ReadyEntry } from './ready-index.js';

function newMessage(body: string): Message {
  return { exchange: '', routingKey: 'q', properties: {}, body: Buffer.from(body) };
}

/** Turns are given by hand. */
function departing() {
  const store = new MemoryStore();
  const turns: Turn[] = [];
  const sent: number[] = [];
  const departures = new Departures<undefined>({
    store,
    send: ({ sequence }) => void sent.push(sequence),
    schedule: (turn) => void turns.push(turn),
    later: () => {},
    onDone: () => {},
  });
  const leave = (count: number): ReadyEntry[] =>
    Array.from({ length: count }, () => {
      const message = newMessage('a');
      const { sequence, position } = store.publish(message, [1], 0);
      const entry = { sequence, position, deliveryCount: 0, redelivered: false, mark: undefined };
      departures.add(entry, undefined, message, true);
      return entry;
    });
  const turn = (): void => {
    for (const one of turns.splice(0)) one.turn();
  };
  return { departures, sent, leave, turn };
}

describe('messages on their way out of a queue', () => {
  it('go at once, but not more than the share of a turn; the others in the turns after it', () => {
    const { departures, sent, leave, turn } = departing();
    const share = LIMITS.deliveriesPerTurnMax;
    const entries = leave(share * 3);
    expect(sent).toHaveLength(share);
    turn();
    expect(sent).toHaveLength(share * 2);
    turn();
    expect(sent).toEqual(entries.map(({ sequence }) => sequence));
    expect(departures.count).toBe(0);
    leave(1);
    expect(sent).toHaveLength(share * 3 + 1);
  });

  it('go once each, and in order, when there are more than are kept in memory', () => {
    const { sent, leave, turn } = departing();
    const entries = leave(LIMITS.readAheadMessagesMax * 2);
    for (let turns = 0; sent.length < entries.length && turns < 100; turns++) turn();
    expect(sent).toEqual(entries.map(({ sequence }) => sequence));
  });
});
