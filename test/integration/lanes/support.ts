import { setImmediate } from 'node:timers/promises';
import type { ManualClock } from '@nestmq/broker';
import { lastValueFrom } from 'rxjs';
import type { Link } from '@nestmq/transport';
import type { StartedApp } from '../app.js';

/** Emits one after the other; resolves when all are stored. */
export async function emitAll(
  { client }: StartedApp,
  pattern: string,
  all: readonly unknown[],
): Promise<void> {
  for (const data of all) await lastValueFrom(client.emit(pattern, data), { defaultValue: undefined });
}

/** Everything in this process that waits for no timer has gone on. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await setImmediate();
}

/** Moves the time in steps, and lets follow what follows. */
export async function pass(clock: ManualClock, ms: number, stepMs = ms): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    clock.advance(stepMs);
    await settled();
  }
}

export const linkOf = ({ server }: StartedApp): Link => server.unwrap<Link>();

export interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function deferred(): Deferred {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
