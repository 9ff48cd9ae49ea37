import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What every phase counts. */
export interface PhaseResult {
  readonly kills: number;
  /** Publishes that were confirmed. */
  readonly confirmed: number;
  /** Deliveries that a handler brought to its end. */
  readonly handled: number;
  /** Of the handled, those of a message that had been handled before. */
  readonly repeated: number;
  /** Confirmed messages that were never handled. */
  readonly lost: number;
  /** Deliveries of messages whose settlement was known to be durable. */
  readonly resurrected: number;
  /** Deliveries before one of an earlier message of the same queue. */
  readonly outOfOrder?: number;
  /** Deliveries with another body than was published. */
  readonly garbled?: number;
  /** Where the evidence is, when not all was well. */
  readonly kept?: string;
}

/** A phase of the store's life in which processes are killed. The same seed gives the same moments. */
export type Phase = (kills: number, seed: number) => Promise<PhaseResult | Skipped>;

/** What the phase needs is not there. */
export interface Skipped {
  readonly skipped: string;
}

/** What a broker that keeps its word never does. */
export type Faults = Pick<Required<PhaseResult>, 'lost' | 'resurrected' | 'outOfOrder' | 'garbled'>;

export const NO_FAULTS: Faults = { lost: 0, resurrected: 0, outOfOrder: 0, garbled: 0 };

export function faultsOf({ lost, resurrected, outOfOrder = 0, garbled = 0 }: PhaseResult): Faults {
  return { lost, resurrected, outOfOrder, garbled };
}

export function isClean(result: PhaseResult): boolean {
  return Object.values(faultsOf(result)).every((count) => count === 0);
}

/**
 * Runs a phase in a directory of its own, which is removed when all was well. Else it is kept, for whoever looks into
 * it: the moments repeat with the seed, but the machine adds its own noise.
 */
export async function inDirectory<R extends PhaseResult | Skipped>(
  name: string,
  run: (directory: string) => Promise<R>,
): Promise<R> {
  const directory = mkdtempSync(join(tmpdir(), `nestmq-crash-${name}-`));
  const result = await run(directory).catch((cause: unknown) => {
    throw new Error(`The phase ${name} came to no end; ${directory} is kept.`, { cause });
  });
  if (!('skipped' in result) && !isClean(result)) return { ...result, kept: directory };
  rmSync(directory, { recursive: true, force: true });
  return result;
}
