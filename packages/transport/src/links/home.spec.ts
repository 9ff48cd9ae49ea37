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
    [{ url: 'memory:', amqp: {} }, "There is 'amqp', but no AMQP URL"],
    [{}, "'url' is missing"],
  ])('is not named by %j', (options, words) => {
    expect(() => homeOf(options, 'q')).toThrow(words);
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
