import { describe, expect, it } from '@jest/globals';
import { normaliseAmqpOptions } from './amqp-options.js';

const normalised = (options: unknown): unknown => normaliseAmqpOptions(['amqp://h'], options, 'billing');

describe('the options of AMQP URLs', () => {
  it('have defaults', () => {
    expect(normalised(undefined)).toMatchObject({
      heartbeatSeconds: 15,
      connectionTimeoutMs: 30_000,
      tls: {},
      connectionName: 'billing',
      reconnectMs: { min: 250, max: 10_000 },
      publishTimeoutMs: 30_000,
      maxWaiting: 10_000,
      queueType: 'quorum',
      maxMessageSize: 16 * 1024 * 1024,
    });
  });

  it('keep what is chosen, also a zero', () => {
    expect(normalised({ connectionTimeout: 0, heartbeat: '1500ms', queueType: 'classic' })).toMatchObject({
      connectionTimeoutMs: 0,
      heartbeatSeconds: 2,
      queueType: 'classic',
    });
    expect(normalised({ reconnect: { minDelay: '20s' } })).toMatchObject({
      reconnectMs: { min: 20_000, max: 20_000 },
    });
  });

  it.each([
    [{ heartbeat: 0 }, "'amqp.heartbeat' is 0"],
    [{ connectionTimeout: '25h' }, "'amqp.connectionTimeout' is '25h'"],
    [{ tls: 'yes' }, "'amqp.tls' is 'yes'"],
    [{ connectionName: '' }, "'amqp.connectionName' is ''"],
    [{ reconnect: { minDelay: '1m', maxDelay: '1s' } }, "'amqp.reconnect.maxDelay' is '1s'"],
    [{ reconnect: { delay: 1 } }, "amqp.reconnect has the unknown option 'delay'"],
    [{ publishTimeout: 0 }, "'amqp.publishTimeout' is 0"],
    [{ maxWaiting: 0.5 }, "'amqp.maxWaiting' is 0.5"],
    [{ queueType: 'stream' }, "'amqp.queueType' is 'stream'"],
    [{ maxMessageSize: -1 }, "'amqp.maxMessageSize' is -1"],
    [{ hearbeat: 1 }, "amqp has the unknown option 'hearbeat'"],
    ['x', "'amqp' is 'x'"],
  ])('are checked: %j', (options, words) => {
    expect(() => normalised(options)).toThrow(words);
  });
});
