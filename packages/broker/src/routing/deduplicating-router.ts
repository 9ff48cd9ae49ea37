import type { Clock } from '../clock.js';
import { channelError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Routable } from '../message/copy-keys.js';
import { type Field, isInteger, typeOf, valueOf } from '../message/fields.js';
import { headersIn, propertyBytesOf } from '../message/headers.js';
import { FanoutRouter } from './fanout-router.js';
import { NOWHERE, type Router } from './router.js';
import { type Admission, type RememberedIds, SeenIds } from './seen-ids.js';

const ID_HEADER = 'x-deduplication-header';
const SIZE = 'x-cache-size';
const TTL = 'x-cache-ttl';
const PERSISTENCE = 'x-cache-persistence';

/**
 * A fan-out that lets each value of the header `x-deduplication-header` through once, as the exchange type of the plugin
 * rabbitmq-message-deduplication. What it has seen is in memory: after a restart it has seen nothing.
 */
export class DeduplicatingRouter<T> implements Router<T> {
  readonly #destinations = new FanoutRouter<T>();
  readonly #seen: SeenIds;
  readonly #onAdmission: (admission: Admission) => void;

  /** `onAdmission` is told of each message with an id that is let through, before it is stored. */
  constructor(remembered: RememberedIds, clock: Clock, onAdmission: (admission: Admission) => void) {
    this.#seen = new SeenIds(remembered, clock);
    this.#onAdmission = onAdmission;
  }

  bind(key: string, destination: T): void {
    this.#destinations.bind(key, destination);
  }

  unbind(key: string, destination: T): boolean {
    return this.#destinations.unbind(key, destination);
  }

  route(_routingKey: string, message: Routable): ReadonlySet<T> {
    const headers = headersIn(propertyBytesOf(message));
    const id = headers.find(({ name }) => name === ID_HEADER);
    if (id !== undefined && typeOf(id) !== 'void') {
      const admission = this.#seen.add(id.bytes, ttlOf(headers));
      if (admission === undefined) return NOWHERE;
      this.#onAdmission(admission);
    }
    return this.#destinations.route();
  }
}

/** Throws PRECONDITION_FAILED in the plugin's words. Numbers may be given as strings, as there. */
export function rememberedIdsOf(args: readonly Field[]): RememberedIds {
  const fieldOf = (name: string): Field | undefined => args.find((one) => one.name === name);
  const idsMax = positive(fieldOf(SIZE));
  if (idsMax === undefined)
    throw refusal(`Missing or invalid argument, '${SIZE}' must be an integer greater than 0`);
  if (idsMax > LIMITS.seenIdsMax)
    throw refusal(`Invalid argument, '${SIZE}' must be an integer up to ${LIMITS.seenIdsMax}`);
  const ttl = fieldOf(TTL);
  const ttlMs = positive(ttl);
  if (ttl !== undefined && ttlMs === undefined)
    throw refusal(`Invalid argument, '${TTL}' must be an integer greater than 0`);
  assertInMemory(fieldOf(PERSISTENCE));
  return { idsMax, ttlMs };
}

function assertInMemory(field: Field | undefined): void {
  if (field === undefined) return;
  const kind = typeOf(field) === 'longstr' ? valueOf(field) : undefined;
  if (kind !== 'disk' && kind !== 'memory')
    throw refusal(`Invalid argument, '${PERSISTENCE}' must be either 'disk' or 'memory'`);
  if (kind === 'disk') throw refusal(`'${PERSISTENCE}' can only be 'memory' here`);
}

/** Undefined for what is not a positive integer. */
function positive(field: Field | undefined): number | undefined {
  if (field === undefined) return undefined;
  const value = valueOf(field);
  const isNumber = isInteger(field) || (typeof value === 'string' && /^\d+$/.test(value));
  return isNumber && Number(value) > 0 ? Number(value) : undefined;
}

/** The header `x-cache-ttl` goes before the exchange's argument. */
function ttlOf(headers: readonly Field[]): number | undefined {
  return positive(headers.find(({ name }) => name === TTL));
}

function refusal(text: string): Error {
  return channelError('PRECONDITION_FAILED', text);
}
