import { EncodedMessage } from './encoded-message.js';
import {
  arrayField,
  elementsOf,
  type Field,
  fieldsOf,
  longField,
  tableValue,
  textField,
  timestampField,
  typeOf,
  valueOf,
} from './fields.js';
import { headersIn, propertyBytesOf, withField, withHeaders } from './headers.js';
import type { FieldTable, Message } from './message.js';

/** Why a message was dead-lettered (rabbitmq.com/docs/dlx, "Effects on Message Headers"). */
export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

export interface Death {
  /** The queue that it was in. */
  readonly queue: string;
  readonly reason: DeathReason;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The dead-letter exchange. */
  readonly exchange: string;
  /** Undefined: the message keeps its own, and its CC. */
  readonly routingKey: string | undefined;
}

/** One of `x-death`: what befell the message in one queue for one reason, as fields in their order. */
type Event = readonly Field[];

/**
 * The message as RabbitMQ publishes it to the dead-letter exchange: `x-death` has one event for each queue and reason,
 * the latest first, with its count; `x-first-death-*` are set once; the expiration goes from the properties into the event.
 */
export function deadLetterOf(message: Message, death: Death): Message {
  const before = propertyBytesOf(message);
  const kept = headersIn(before).filter(({ name }) => death.routingKey === undefined || name !== 'CC');
  const headers = withEvent(kept, death, eventOf(message, death));
  const bytes = withHeaders(before, headers, { dropExpiration: true });
  return new EncodedMessage(death.exchange, death.routingKey ?? message.routingKey, bytes, message.body);
}

function eventOf({ exchange, routingKey, properties }: Message, { reason, queue, at }: Death): Event {
  const { expiration, headers } = properties;
  const keys = [routingKey, ...textsIn(headers?.['CC'])];
  const event = [
    longField('count', 1),
    textField('reason', reason),
    textField('queue', queue),
    timestampField('time', Math.floor(at / 1000)),
    textField('exchange', exchange),
    arrayField(
      'routing-keys',
      keys.map((key) => textField('', key).bytes),
    ),
  ];
  return expiration === undefined ? event : [...event, textField('original-expiration', expiration)];
}

function textsIn(value: FieldTable[string]): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/** Once more for the same queue and reason only raises the count; RabbitMQ sorts the fields then, and the headers always. */
function withEvent(headers: readonly Field[], { queue, reason }: Death, event: Event): Field[] {
  const field = headers.find(({ name }) => name === 'x-death');
  const past = eventsIn(field);
  const same = past.find((one) => textIn(one, 'queue') === queue && textIn(one, 'reason') === reason);
  const latest = same === undefined ? event : again(same);
  const events = [latest, ...past.filter((one) => one !== same)];
  const dead = withField(headers, arrayField('x-death', events.map(tableValue)));
  if (field !== undefined) return sorted(dead);
  const first = ['reason', 'queue', 'exchange'].map((name) =>
    textField(`x-first-death-${name}`, textIn(event, name) ?? ''),
  );
  return sorted([...dead.filter(({ name }) => !name.startsWith('x-first-death-')), ...first]);
}

function again(event: Event): Event {
  return sorted(withField(event, longField('count', timesOf(event) + 1)));
}

/** A count that some client made up and that is none, or more than can be counted, is as if it were not there. */
function timesOf(event: Event): number {
  const count = event.find(({ name }) => name === 'count');
  const value = count && valueOf(count);
  const times = typeof value === 'number' || typeof value === 'bigint' ? Number(value) : 1;
  return Number.isSafeInteger(times) && times >= 0 ? times : 1;
}

/** As Erlang sorts names: by their bytes. */
function sorted(fields: readonly Field[]): Field[] {
  return fields.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}

/** A header of that name that some client made up counts as none. */
function eventsIn(field: Field | undefined): Event[] {
  if (field === undefined || typeOf(field) !== 'array') return [];
  return elementsOf(field)
    .filter((bytes) => typeOf({ bytes }) === 'table')
    .map((bytes) => fieldsOf(bytes.subarray(1)));
}

function textIn(event: Event, name: string): string | undefined {
  const field = event.find((one) => one.name === name);
  return field !== undefined && typeOf(field) === 'longstr' ? (valueOf(field) as string) : undefined;
}

/**
 * The message was in this queue before, and has come back without ever having been rejected on the way: it would go round
 * for ever (rabbitmq.com/docs/dlx, "Dead-Lettering Cycles"). `letter` is what {@link deadLetterOf} made.
 */
export function isCycle(letter: Message, queue: string): boolean {
  const field = headersIn(propertyBytesOf(letter)).find(({ name }) => name === 'x-death');
  const events = eventsIn(field);
  const last = events.findIndex((event) => textIn(event, 'queue') === queue);
  return last >= 0 && events.slice(0, last + 1).every((event) => textIn(event, 'reason') !== 'rejected');
}
