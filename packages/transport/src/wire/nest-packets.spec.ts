import { describe, expect, it } from '@jest/globals';
import { IncomingResponseDeserializer } from '@nestjs/microservices';
import { readNestAnswer } from './nest-packets.js';

describe('an answer of Nest’s RMQ transport', () => {
  const foreign: unknown[] = [undefined, null, 'text', 5, [], [1], {}, { response: 1, name: 'x' }, { a: 1 }];
  const packets: unknown[] = [
    { response: 6 },
    { response: 6, isDisposed: true },
    { isDisposed: true },
    { err: 'There is no handler', status: 'error', id: '7' },
    { err: { code: 'X' }, isDisposed: true },
    { err: null, response: 6 },
    { response: null },
    { err: false, isDisposed: true },
  ];

  it.each([...foreign, ...packets])('is read as Nest’s client reads it: %j', async (data) => {
    // ClientRMQ.handleMessage
    const { err, response, isDisposed } = await new IncomingResponseDeserializer().deserialize(data);
    const ends = Boolean(isDisposed) || Boolean(err);
    const { err: ourErr, ...ours } = readNestAnswer(data);
    expect(Boolean(ourErr)).toBe(Boolean(err));
    if (err) expect(ourErr).toEqual(err);
    expect(ours.response).toEqual(response);
    expect(ours.isDisposed ?? false).toBe(ends);
  });
});
