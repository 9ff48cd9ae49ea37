import { resolve } from 'node:path';
import { type Broker, openBroker } from '../broker.js';
import { Registry } from '../definitions/registry.js';
import { BrokerError } from '../errors.js';
import { nodeFileSystem } from '../store/node-file-system.js';
import { readDefinitions } from '../tools/read-definitions.js';
import type { CommandArguments } from './command.js';

/** Of commands that work on the directory of a broker. */
export const DATA_OPTION = { data: { type: 'string' } } as const;
export const DATA_HELP = '--data DIR is the directory of the broker.';
const STOPPED_HELP = 'The broker must not run.';
export const CHANGES_HELP: string = `${DATA_HELP} ${STOPPED_HELP} Exit code: 0 done, 1 the journal is damaged, 2 could not be done.`;
export const READS_HELP: string = `${DATA_HELP} Changes nothing, and may run beside the broker. Exit code: 0, 1 damaged, 2 can not be read.`;

export type Values = CommandArguments['values'];

/** Changes what is defined; resolves when that is durable. The directory is made when it is missing. */
export async function change<R>(values: Values, work: (broker: Broker) => R | Promise<R>): Promise<R> {
  const directory = directoryIn(values);
  const broker = await openBroker({ directory }).catch((error: unknown) => {
    throw error instanceof BrokerError && error.code === 'DIRECTORY_LOCKED'
      ? running(directory, error)
      : error;
  });
  try {
    const result = await work(broker);
    await broker.durable();
    return result;
  } finally {
    await broker.close();
  }
}

/** What is defined, as the store has it. */
export function definitionsIn(values: Values): Promise<ReadonlyMap<string, unknown>> {
  return readDefinitions(nodeFileSystem, directoryIn(values));
}

/** The same, to be asked. */
export async function registryIn(values: Values): Promise<Registry> {
  const registry = new Registry({ define: () => {} });
  registry.restore(await definitionsIn(values));
  return registry;
}

/** The value of an option, if it was given. */
export function textIn(values: Values, option: string): string | undefined {
  const value = values[option];
  return typeof value === 'string' ? value : undefined;
}

function directoryIn(values: Values): string {
  const data = textIn(values, 'data');
  if (data === undefined || data === '') throw new Error('Give --data DIR.');
  return resolve(data);
}

function running(directory: string, cause: BrokerError): BrokerError {
  return new BrokerError('DIRECTORY_LOCKED', `A broker is running in '${directory}'.`, {
    severity: 'broker',
    cure: 'Stop it to change what it has defined; listing and exporting may be done beside it.',
    cause,
  });
}
