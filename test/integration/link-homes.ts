import { type Clock, createServer, type ServerOptions, systemClock } from '@nestmq/broker';
import { openLink } from '../../packages/transport/src/links/open-link.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ContractRunner, LinkFeature, LinkHome } from '@nestmq/transport/link-contract';
import { SILENT } from '../../packages/transport/src/links/contract/contract-support.js';
import { normaliseQueueOptions, type QueueOptions } from '../../packages/transport/src/queue.options.js';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { startProxy, type TcpProxy } from '../peers/tcp-proxy.js';

/** The brokers that the contract of links is shown on. */

/** Back soon, and patient on a loaded machine. */
export const FAST = {
  reconnect: { minDelay: 20, maxDelay: 200 },
  connectionTimeout: '60s',
  publishTimeout: '60s',
} as const;

export const EMBEDDED: readonly LinkFeature[] = ['connection'];
export const RABBITMQ: readonly LinkFeature[] = ['exclusiveConsumers'];

/** Jest's. */
export const RUNNER: ContractRunner = { describe, it, beforeAll, afterEach, afterAll, expect };

/** Brokers look at the memory so often. Milliseconds. */
const LOOK_EVERY_MS = 2500;

/** A machine's memory that is full when a test says so, and a clock that lets the broker look at it at once. */
function fillableMemory(): { options: ServerOptions; block: (blocked: boolean) => void } {
  let usedBytes = 0;
  const looks = new Set<() => void>();
  const clock: Clock = {
    now: () => systemClock.now(),
    setTimer(delayMs, callback) {
      const timer = systemClock.setTimer(delayMs, callback);
      if (delayMs !== LOOK_EVERY_MS) return timer;
      const look = (): void => {
        timer.cancel();
        looks.delete(look);
        callback();
      };
      looks.add(look);
      return {
        cancel() {
          looks.delete(look);
          timer.cancel();
        },
      };
    },
  };
  const memoryGauge = { usedBytes: () => usedBytes, limitBytes: () => 1000, release: () => {} };
  const block = (blocked: boolean): void => {
    usedBytes = blocked ? 999 : 0;
    const due = [...looks];
    for (const look of due) look();
  };
  return { options: { clock, memoryGauge, memoryHighWatermark: 0.5 }, block };
}

export async function embeddedHome(url: string, remove: () => void): Promise<LinkHome> {
  const { options: broker, block } = fillableMemory();
  const options = normaliseQueueOptions({ url, broker });
  // One link stays open: with the last one the broker would close.
  const keeper = await openLink(options, SILENT);
  return {
    open: (listener) => openLink(options, listener),
    block,
    async close() {
      await keeper.close();
      remove();
    },
  };
}

export async function serverHome(): Promise<LinkHome> {
  const { options, block } = fillableMemory();
  const server = await createServer({ port: 0, ...options });
  const proxy = await startProxy(server.port);
  return proxiedHome([proxy], { block, stop: () => server.close() });
}

/** Undefined where there is none. */
export async function rabbitMqHome(): Promise<LinkHome | undefined> {
  const rabbitMq = await startRabbitMq();
  if (rabbitMq === undefined) return undefined;
  const proxy = await startProxy(Number(new URL(rabbitMq.url).port));
  return proxiedHome([proxy], {
    block: (blocked) => void rabbitMq.ctl('set_vm_memory_high_watermark', blocked ? '0.00001' : '0.8'),
    stop: () => rabbitMq.stop(),
  });
}

/** Links go through the proxies. */
export function proxiedHome(
  proxies: readonly TcpProxy[],
  { stop, ...more }: Pick<LinkHome, 'block'> & { readonly stop: () => Promise<void> },
): LinkHome {
  const urls = proxies.map(({ port }) => `amqp://127.0.0.1:${port}`);
  const options = normaliseQueueOptions({ urls, amqp: FAST } satisfies QueueOptions);
  return {
    ...more,
    open: (listener) => openLink(options, listener),
    cut() {
      for (const proxy of proxies) proxy.cut();
    },
    async close() {
      for (const proxy of proxies) await proxy.close();
      await stop();
    },
  };
}
