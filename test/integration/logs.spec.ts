import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { ConsoleLogger, Controller, Logger } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { type Link, QueueAdmin, QueueContext } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { type StartedApp, startApp } from './app.js';

@Controller()
class Orders {
  @EventPattern<string>('order.*', { retry: { attempts: 2, delay: 0 } })
  bill(@Payload() { secret }: { secret: string }, @Ctx() context: QueueContext): void {
    if (context.pattern === 'order.settled') context.ack();
    if (secret !== '') throw new TypeError('the card was declined');
  }
  @EventPattern('lossy', { queue: 'lossy', noAck: true })
  lossy(_data: unknown): void {
    throw new Error('gone');
  }
  @EventPattern('nowhere', { queue: 'nowhere', deadLetter: false, retry: { attempts: 1 } })
  nowhere(_data: unknown): void {
    throw new Error('gone');
  }
}

let started: StartedApp;

afterEach(async () => {
  Logger.overrideLogger(false);
  await started.app.close();
});

/** What is logged, by one of Nest's loggers, until there are that many lines. */
async function logged(
  logger: ConsoleLogger,
  lines: number,
  act: (link: Link) => Promise<void> | void,
): Promise<string[]> {
  started = await startApp({ url: 'memory:logs', queue: 'orders' }, { controllers: [Orders] });
  await started.client.connect();
  Logger.overrideLogger(logger);
  const text: string[] = [];
  // Nest itself logs the stacks of unknown errors.
  const take = (chunk: unknown): boolean =>
    String(chunk).includes('RpcExceptionsHandler') || text.push(String(chunk)) > 0;
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation(take),
    jest.spyOn(process.stderr, 'write').mockImplementation(take),
  ];
  try {
    await act(started.client.unwrap<Link>());
    while (text.length < lines) await new Promise(setImmediate);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return text;
}

async function emit(pattern: string, data: unknown = { secret: 'p4ssw0rd' }): Promise<void> {
  await lastValueFrom(started.client.emit(pattern, data), { defaultValue: undefined });
}

describe('the log of what fails', () => {
  it('has fields for machines, in JSON', async () => {
    const lines = await logged(new ConsoleLogger({ json: true }), 2, () => emit('order.placed'));
    const [retried, dead] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const [letter] = await started.app.get(QueueAdmin).deadLetters('orders').list();
    const fields = {
      queue: 'orders',
      pattern: 'order.placed',
      messageId: letter?.messageId,
      maxAttempts: 2,
      error: { name: 'TypeError', message: 'the card was declined' },
    };
    expect(retried).toMatchObject({
      level: 'warn',
      message:
        "'order.placed' failed in attempt 1 of 2 (queue 'orders'), and is tried again in 0 ms: the card was declined",
      params: { ...fields, attempt: 1, retryInMs: 0 },
    });
    expect(dead).toMatchObject({
      level: 'error',
      message:
        "'order.placed' failed in attempt 2 of 2 (queue 'orders'), and is dead-lettered to 'orders.dead': the card was declined",
      params: { ...fields, attempt: 2, reason: 'attempts', deadLetterQueue: 'orders.dead' },
    });
    expect(lines.join('')).not.toContain('p4ssw0rd');
  });

  it('is a line each for people', async () => {
    const logger = new ConsoleLogger({ colors: false, timestamp: false });
    const lines = await logged(logger, 2, () => emit('order.placed'));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      /WARN .*'order\.placed' failed in attempt 1 of 2 .*declined \{ queue: 'orders', .*\}\n$/,
    );
  });

  it('tells what is lost for good', async () => {
    const lines = await logged(new ConsoleLogger({ json: true }), 2, async () => {
      await emit('lossy');
      await emit('nowhere');
    });
    const [lossy, nowhere] = lines.map((line) => JSON.parse(line) as { message: string; params: object });
    expect(lossy?.message).toBe("'lossy' failed, and is lost, since its queue has noAck: gone");
    expect(nowhere?.message).toMatch(/and is gone \(deadLetter: false\): gone$/);
    expect(nowhere?.params).not.toHaveProperty('deadLetterQueue');
  });

  it('tells of a handler that fails after it has settled', async () => {
    const [line] = await logged(new ConsoleLogger({ json: true }), 1, () => emit('order.settled'));
    expect(JSON.parse(String(line))).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(
        /settled the message by hand, and failed afterwards: the card was declined$/,
      ),
      params: { pattern: 'order.settled', attempt: 1 },
    });
  });

  it('tells what nobody handles and what can not be read; no producer can forge a line', async () => {
    const message = {
      exchange: 'nestmq.events',
      properties: { messageId: 'm-1' },
      body: Buffer.from('{ "p4ssw0rd'),
    };
    const lines = await logged(new ConsoleLogger({ json: true }), 2, async (link) => {
      await link.bindQueue('orders', 'nestmq.events', '#');
      link.publish({ ...message, routingKey: 'x\nERROR forged', body: Buffer.from('"p4ssw0rd"') }, () => {});
      link.publish({ ...message, routingKey: 'order.unreadable' }, () => {});
    });
    const [unheard, unreadable] = lines.map((line) => JSON.parse(line) as object);
    expect(unheard).toMatchObject({
      level: 'error',
      message: "'x?ERROR forged' is dead-lettered to 'orders.dead' (no-handler).",
      params: {
        queue: 'orders',
        pattern: 'x\nERROR forged',
        messageId: 'm-1',
        attempt: 1,
        reason: 'no-handler',
      },
    });
    expect(unreadable).toMatchObject({
      message: expect.stringMatching(
        /^'order\.unreadable' is dead-lettered to 'orders\.dead' \(unreadable: /,
      ),
      params: { reason: 'unreadable', error: { name: 'UnreadableBodyException' } },
    });
  });
});
