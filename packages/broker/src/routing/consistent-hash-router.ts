import { channelError } from '../errors.js';
import type { Routable } from '../message/copy-keys.js';
import { shownBinary } from '../message/erlang-term.js';
import { textOf } from '../message/field-text.js';
import { type Field, typeOf } from '../message/fields.js';
import { headersIn, propertyBytesOf } from '../message/headers.js';
import { hashOf, mixed } from './string-hash.js';
import { NOWHERE, type Router } from './router.js';

/** Any two that differ: so that equal hashes of different names or keys are beyond chance. */
const BASES = [0x811c_9dc5, 0x2f0b_4c47] as const;
const HASH_HEADER = 'hash-header';
const HASH_PROPERTY = 'hash-property';
const PROPERTIES: ReadonlySet<string> = new Set(['correlation_id', 'message_id', 'timestamp']);

/** What of a message decides where it goes. */
export type HashOn = (routingKey: string, message: Routable) => string;

interface Candidate<T> {
  readonly destination: T;
  /** What is routed to it alone. */
  readonly alone: ReadonlySet<T>;
  readonly seeds: readonly [number, number];
  /** Of its bindings, in order; the first counts. */
  readonly weights: number[];
}

/**
 * Sends each key to one destination, always the same one, in the proportion of the weights: the binding keys. A change
 * of bindings moves only the keys that have to move (weighted rendezvous hashing: every destination draws a number for
 * the key from its own name, and the highest one, by weight, has it). Nothing of it is stored: after a restart the same
 * keys go to the same destinations.
 */
export class ConsistentHashRouter<T> implements Router<T> {
  readonly #hashOn: HashOn;
  /** Of a destination, always the same. */
  readonly #nameOf: (destination: T) => string;
  readonly #candidates = new Map<T, Candidate<T>>();

  constructor(hashOn: HashOn, nameOf: (destination: T) => string) {
    this.#hashOn = hashOn;
    this.#nameOf = nameOf;
  }

  bind(key: string, destination: T): void {
    const known = this.#candidates.get(destination);
    if (known !== undefined) {
      known.weights.push(Number(key));
      return;
    }
    const seeds = hashesOf(this.#nameOf(destination));
    const candidate = { destination, alone: new Set([destination]), seeds, weights: [Number(key)] };
    this.#candidates.set(destination, candidate);
  }

  unbind(key: string, destination: T): boolean {
    const weights = this.#candidates.get(destination)?.weights;
    const at = weights?.indexOf(Number(key)) ?? -1;
    if (weights === undefined || at < 0) return false;
    weights.splice(at, 1);
    if (weights.length === 0) this.#candidates.delete(destination);
    return true;
  }

  route(routingKey: string, message: Routable): ReadonlySet<T> {
    const key = hashesOf(this.#hashOn(routingKey, message));
    let best: Candidate<T> | undefined;
    let highest = -1;
    for (const candidate of this.#candidates.values()) {
      const score = scoreOf(candidate, key);
      if (score > highest) {
        highest = score;
        best = candidate;
      }
    }
    return best?.alone ?? NOWHERE;
  }
}

function hashesOf(text: string): [number, number] {
  return [hashOf(text, BASES[0]), hashOf(text, BASES[1])];
}

/** From a number between 0 and 1, drawn by name and key: who has twice the weight has the highest score twice as often. */
function scoreOf<T>({ seeds, weights }: Candidate<T>, key: readonly [number, number]): number {
  const drawn = mixed(mixed(seeds[0] ^ key[0]) ^ seeds[1] ^ key[1]);
  return (weights[0] as number) / -Math.log(((drawn >>> 0) + 0.5) / 2 ** 32);
}

/** Throws PRECONDITION_FAILED in the words of RabbitMQ's plugin. */
export function checkWeight(key: string): void {
  if (!/^[+-]?\d+$/.test(key)) {
    const shown = shownBinary(Buffer.from(key));
    throw channelError('PRECONDITION_FAILED', `The binding key must be an integer: ${shown}`);
  }
  if (Number(key) < 1) throw channelError('PRECONDITION_FAILED', 'The binding key must be greater than 0');
}

/**
 * By the exchange's arguments `hash-header` or `hash-property`; else the routing key. Throws PRECONDITION_FAILED, in
 * the words of RabbitMQ's plugin where it has some; `at` names the exchange.
 */
export function hashOnOf(args: readonly Field[], at: string): HashOn {
  const header = textIn(args, HASH_HEADER, at);
  const property = textIn(args, HASH_PROPERTY, at);
  if (header !== undefined && property !== undefined) {
    const text = `${HASH_HEADER} and ${HASH_PROPERTY} are mutually exclusive`;
    throw channelError('PRECONDITION_FAILED', text);
  }
  if (header !== undefined) return (_, message) => headerIn(message, header);
  if (property === undefined) return (routingKey) => routingKey;
  if (!PROPERTIES.has(property))
    throw channelError('PRECONDITION_FAILED', `Unsupported property: ${property}`);
  return (_, message) => propertyIn(message, property);
}

function textIn(args: readonly Field[], name: string, at: string): string | undefined {
  const field = args.find((one) => one.name === name);
  if (field === undefined) return undefined;
  const text = textOf(field);
  if (text !== undefined) return text;
  throw channelError('PRECONDITION_FAILED', `invalid type '${typeOf(field)}' for arg '${name}' in ${at}`);
}

/** All messages without it are alike. */
function headerIn(message: Routable, name: string): string {
  const field = headersIn(propertyBytesOf(message)).find((one) => one.name === name);
  return field === undefined ? '' : field.bytes.toString('latin1');
}

function propertyIn({ properties }: Routable, name: string): string {
  if (name === 'correlation_id') return properties.correlationId ?? '';
  if (name === 'message_id') return properties.messageId ?? '';
  return properties.timestamp === undefined ? '' : String(properties.timestamp);
}
