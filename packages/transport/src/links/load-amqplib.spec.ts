import { describe, expect, it } from '@jest/globals';
import { loadAmqplib } from './load-amqplib.js';

describe('loading amqplib', () => {
  it('says what to install when it is not there', async () => {
    const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    await expect(loadAmqplib(() => Promise.reject(missing))).rejects.toThrow(
      "AMQP URLs need the package 'amqplib', which is not installed. Run 'npm install amqplib'.",
    );
  });

  it('does not hide that it is broken', async () => {
    const broken = new SyntaxError('Unexpected token');
    await expect(loadAmqplib(() => Promise.reject(broken))).rejects.toBe(broken);
  });

  it('finds it where it is', async () => {
    expect(await loadAmqplib()).toMatchObject({ connect: expect.any(Function) as unknown });
  });
});
