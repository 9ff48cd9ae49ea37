import { describe, expect, it } from '@jest/globals';
import { homeOf } from './home.js';

describe('where messages live', () => {
  it.each([
    ['file:./data/mq', { directory: './data/mq' }],
    ['file:/data/mq', { directory: '/data/mq' }],
    ['file:///data/m%20q', { directory: '/data/m q' }],
    ['memory:', { memory: '' }],
    ['memory:test', { memory: 'test' }],
  ])('is what its URL names: %s', (url, home) => {
    expect(homeOf({ url }, 'q')).toEqual(home);
  });

  it.each([
    [{ url: 'redis://me:secret@host' }, "'url' is 'redis://***@host'. Give"],
    [{ url: 'amqp:me:secret@host' }, "'amqp:***@host' is no AMQP URL"],
    [{ url: 'me:s/e@cret@host' }, "'url' is 'me:***@host'."],
    [{ urls: ['amqps//me:secret@host'] }, "'urls' has '***@host'"],
    [{ url: 'file://host/data' }, "'url' is 'file://host/data'. Give 'file:DIR'"],
    [{ url: 'file:///data%zz' }, "'url' is 'file:///data%zz'."],
    [{ url: 'file:' }, "'url' is 'file:'."],
    [{ urls: [] }, "'urls' is no list"],
    [{ urls: ['amqp://h'], url: 'amqp://h' }, "there is 'url' as well"],
    [{ urls: ['file:x'] }, "'urls' has 'file:x'"],
    [{ url: 'memory:', amqp: { heartbeat: 'soon' } }, "'amqp.heartbeat' is 'soon'."],
    [{ url: 'file:x', amqp: { hearbeat: '5s' } }, "amqp has the unknown option 'hearbeat'"],
    [{}, "'url' is missing"],
    [{ link: 5 }, "'link' is 5 (number). Give a function that opens a link"],
    [{ link: () => {}, url: 'memory:' }, "There is 'link', and 'url' as well."],
    [{ link: () => {}, broker: {} }, "There is 'link', and 'broker' as well."],
  ])('is not named by %j', (options, words) => {
    expect(() => homeOf(options, 'q')).toThrow(words);
  });

  it('does not depend on options of AMQP', () => {
    expect(homeOf({ url: 'file:./x', amqp: { heartbeat: '5s' } }, 'q')).toEqual({ directory: './x' });
  });

  it('may be the nodes of a cluster', () => {
    const home = homeOf({ urls: ['amqp://a', 'amqps://b,c/v'] }, 'q');
    expect('amqp' in home && home.amqp.endpoints.map(({ host, tls, vhost }) => [host, tls, vhost])).toEqual([
      ['a', false, '/'],
      ['b', true, 'v'],
      ['c', true, 'v'],
    ]);
  });
});
