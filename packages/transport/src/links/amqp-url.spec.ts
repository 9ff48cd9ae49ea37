import { describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { locationOf, parseAmqpUrl } from './amqp-url.js';

const readOf = (url: string): readonly object[] =>
  parseAmqpUrl(url).map((endpoint) => {
    const { username, password } = endpoint.credentials();
    return { at: locationOf(endpoint), vhost: endpoint.vhost, username, password };
  });

describe('an AMQP URL', () => {
  it.each([
    [
      'amqp://localhost',
      [{ at: 'amqp://localhost:5672/', vhost: '/', username: 'guest', password: 'guest' }],
    ],
    ['amqps://u:p@h', [{ at: 'amqps://h:5671/', vhost: '/', username: 'u', password: 'p' }]],
    [
      'amqp://u:p%40%3A@h:1/a%2Fb',
      [{ at: 'amqp://h:1/a%2Fb', vhost: 'a/b', username: 'u', password: 'p@:' }],
    ],
    ['amqp://u:a:b@h/', [{ at: 'amqp://h:5672/', vhost: '/', username: 'u', password: 'a:b' }]],
    ['amqp://[::1]:7/v', [{ at: 'amqp://[::1]:7/v', vhost: 'v', username: 'guest', password: 'guest' }]],
    [
      'amqp://u:p@a,b:1,[::1]/v',
      ['a:5672', 'b:1', '[::1]:5672'].map((host) => ({
        at: `amqp://${host}/v`,
        vhost: 'v',
        username: 'u',
        password: 'p',
      })),
    ],
  ])('is read: %s', (url, expected) => {
    expect(readOf(url)).toEqual(expected);
  });

  it.each([
    'amqp://',
    'amqp:host',
    'amqp://u:secret@h:0',
    'amqp://u:secret@h:65536',
    'amqp://u:secret@h,,i',
    'amqp://u:secret@h/a/b',
    'amqp://u:secret@h?heartbeat=1',
    'amqp://u:secret%zz@h',
    'amqp://u:se@cret@h',
  ])('is refused, without its credentials in the words: %s', (url) => {
    expect(() => parseAmqpUrl(url)).toThrow(/is no AMQP URL.*amqp:\/\/USER:PASSWORD@HOST/s);
    try {
      parseAmqpUrl(url);
    } catch (error) {
      expect(inspect(error)).not.toContain('cret');
    }
  });

  it('keeps its credentials out of what is printed', () => {
    const [endpoint] = parseAmqpUrl('amqp://u:secret@h');
    expect(inspect(endpoint, { depth: 9, showHidden: true })).not.toContain('secret');
    expect(JSON.stringify(endpoint)).not.toContain('secret');
  });
});
