import { describe, expect, it } from '@jest/globals';
import type { SeenMessage } from './seen.js';
import { Sightings } from './sightings.js';

const message = { exchange: '', routingKey: '', properties: {}, body: Buffer.alloc(0) };

function world() {
  const seen: SeenMessage[] = [];
  const watchers = new Set<() => void>();
  const watched = {
    verb: 'published',
    seen: () => seen,
    watch: (onChange: () => void) => {
      watchers.add(onChange);
      return () => watchers.delete(onChange);
    },
    timeline: () => 'TIMELINE',
  };
  const see = (pattern: string, data: unknown = 1): void => {
    seen.push({ pattern, data, kind: 'event', headers: {}, messageId: '', message, at: 0 });
    for (const watcher of watchers) watcher();
  };
  const of = (pattern: string, predicate: (seen: SeenMessage) => boolean = () => true) =>
    new Sightings<SeenMessage>(watched, pattern, predicate);
  return { see, of, watchers };
}

describe('sightings', () => {
  it('begin with what is past: by pattern with wildcards, and by predicate', async () => {
    const { see, of } = world();
    for (const id of [1, 2]) see('order.placed', id);
    see('order.placed.eu', 3);
    expect(of('order.*').all.map(({ data }) => data)).toEqual([1, 2]);
    expect(of('#').count).toBe(3);
    expect(of('order', () => true).count).toBe(0);
    expect(await of('order.*', ({ data }) => data === 2)).toMatchObject({ data: 2 });
  });

  it('wait for what is to come, and watch no longer than that', async () => {
    const { see, of, watchers } = world();
    const both = of('a').times(2);
    see('a', 1);
    see('b', 2);
    expect(watchers.size).toBe(1);
    see('a', 3);
    expect((await both).map(({ data }) => data)).toEqual([1, 3]);
    expect(watchers.size).toBe(0);
  });

  it('reject with the timeline when it does not come in time', async () => {
    const { see, of, watchers } = world();
    see('a');
    await expect(of('a').times(2, { timeout: 5 })).rejects.toThrow(
      "Expected 2 of 'a' to be published within 5 ms, but there are 1.\n\nTIMELINE",
    );
    expect(watchers.size).toBe(0);
    await expect(of('b').first({ timeout: 'soon' })).rejects.toThrow("'timeout' is 'soon'.");
  });

  it('reject with what the predicate throws, and leave alone who has brought the message', async () => {
    const { see, of, watchers } = world();
    const waiting = of('#', ({ data }) => (data as { items: string[] }).items.length > 0).first();
    expect(() => see('a', {})).not.toThrow();
    await expect(waiting).rejects.toThrow(TypeError);
    expect(watchers.size).toBe(0);
  });

  it('refuse a count that there can not be, and a time that no timer can wait', async () => {
    const { of } = world();
    await expect(of('a').times(Number.NaN)).rejects.toThrow("'count' is NaN.");
    await expect(of('a').times(-1)).rejects.toThrow("'count' is -1.");
    await expect(of('a').first({ timeout: '30d' })).rejects.toThrow("'timeout' is '30d'.");
  });
});
