import { describe, expect, it } from '@jest/globals';
import { EventListeners } from './event-listeners.js';

describe('listeners of events', () => {
  it('are told in their order, each once, of what they listen to', () => {
    const told: unknown[] = [];
    const listeners = new EventListeners<{ lost: (why: string) => void; back: () => void }>({
      error: () => {},
    });
    const twice = (why: string): void => void told.push(['first', why]);
    listeners.add('lost', twice);
    listeners.add('lost', twice);
    listeners.add('lost', (why) => told.push(['second', why]));
    listeners.tell('back');
    listeners.tell('lost', 'cut');
    expect(told).toEqual([
      ['first', 'cut'],
      ['second', 'cut'],
    ]);
  });

  it('that throw are logged, and keep nobody else from being told', () => {
    const [logged, told]: [unknown[], string[]] = [[], []];
    const listeners = new EventListeners<{ back: () => void }>({
      error: (error: unknown) => logged.push(error),
    });
    const error = new Error('a listener fails');
    listeners.add('back', () => {
      throw error;
    });
    listeners.add('back', () => told.push('told'));
    listeners.tell('back');
    expect([logged, told]).toEqual([[error], ['told']]);
  });
});
