import { readFile } from 'node:fs/promises';
import { BrokerError, messageOf, systemCodeOf } from '../errors.js';
import type { ServerOptions } from '../server-options.js';

/** The options of `createServer` that JSON can hold. */
const KEYS: readonly ConfigKey[] = [
  'directory',
  'host',
  'port',
  'tls',
  'loopbackUsers',
  'memoryHighWatermark',
  'diskFreeBytesMin',
  'segmentBytesMax',
  'cacheBytesMax',
  'settlementDelayMs',
];
type ConfigKey = keyof Omit<ServerOptions, 'clock' | 'fileSystem' | 'memoryGauge' | 'onFailure' | 'onHealed'>;

/** Rejects with INVALID_OPTION, which names the file, and the key that is unknown. Values are checked by `createServer`. */
export async function readConfig(file: string): Promise<Pick<ServerOptions, ConfigKey>> {
  const document = parse(await textOf(file), file);
  for (const key of Object.keys(document))
    if (!(KEYS as readonly string[]).includes(key))
      throw invalid(file, `has '${key}', which is not an option; options are: ${KEYS.join(', ')}`);
  return document;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw invalid(file, `can't be read (${systemCodeOf(cause) ?? messageOf(cause)})`, cause);
  }
}

function parse(text: string, file: string): object {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, `is no JSON (${messageOf(cause)})`, cause);
  }
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) return document;
  throw invalid(file, 'is no JSON object');
}

function invalid(file: string, why: string, cause?: unknown): BrokerError {
  return new BrokerError('INVALID_OPTION', `The configuration file '${file}' ${why}.`, { cause });
}
