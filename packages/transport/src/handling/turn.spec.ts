import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { leaseBroker } from '../links/embedded-brokers.js';
import { EmbeddedLink } from '../links/embedded.link.js';
import type { LinkListener } from '../links/link.js';
import { inTurn } from './turn.js';

const listener: LinkListener = {
  onConnected: () => undefined,
  onDisconnected: () => undefined,
  onBlocked: () => undefined,
  onError: () => undefined,
};

describe('inTurn', () => {
  let links: EmbeddedLink[];
  const link = (at: number): EmbeddedLink => links[at] as EmbeddedLink;

  beforeEach(async () => {
    const memory = randomUUID();
    links = [];
    for (let count = 0; count < 3; count++)
      links.push(new EmbeddedLink(await leaseBroker({ memory }), listener));
    await link(0).declareQueue('turn', { singleActiveConsumer: true });
  });
  afterEach(async () => {
    await Promise.all(links.map((one) => one.close()));
  });

  it('lets one work at a time, all of them, and keeps one token', async () => {
    let working = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++working);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      working--;
    };
    await Promise.all(links.map((one) => inTurn(one, 'turn', work)));
    expect(most).toBe(1);
    await inTurn(link(0), 'turn', work);
    expect(await link(0).queueState('turn')).toMatchObject({ ready: 1, unsettled: 0, consumers: 0 });
  });

  it('goes on to the next when the work fails, or its instance is gone', async () => {
    await expect(inTurn(link(0), 'turn', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    let begin!: () => void;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    void inTurn(link(1), 'turn', () => {
      begin();
      return new Promise(() => {});
    });
    await begun;
    const next = inTurn(link(2), 'turn', async () => 'done');
    await link(1).close();
    expect(await next).toBe('done');
  });

  it('rejects when the queue is deleted meanwhile', async () => {
    let begin!: () => void;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const turn = inTurn(link(0), 'turn', () => {
      begin();
      return new Promise(() => {});
    });
    await begun;
    await link(1).deleteQueue('turn');
    await expect(turn).rejects.toThrow("'turn' was deleted");
  });
});
