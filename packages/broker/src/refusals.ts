import { randomBytes } from 'node:crypto';
import { BrokerError, channelError } from './errors.js';
import { LIMITS } from './limits.js';

/** Errors that exchanges and queues have in common, in RabbitMQ's words. */

export function notFound(kind: 'queue' | 'exchange', name: string, vhost: string): Error {
  return channelError('NOT_FOUND', `no ${kind} '${name}' in vhost '${vhost}'`);
}

export function preconditionFailed(
  kind: 'queue' | 'exchange',
  name: string,
  vhost: string,
  why: string,
): Error {
  return channelError('PRECONDITION_FAILED', `${kind} '${name}' in vhost '${vhost}' ${why}`);
}

/** An exclusive queue is another connection's. */
export function locked(queue: string, vhost: string): Error {
  return channelError(
    'RESOURCE_LOCKED',
    `cannot obtain exclusive access to locked queue '${queue}' in vhost '${vhost}'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
  );
}

export function assertNotReserved(kind: 'queue' | 'exchange', name: string): void {
  if (name.startsWith('amq.')) {
    throw channelError('ACCESS_REFUSED', `${kind} name '${name}' contains reserved prefix 'amq.*'`);
  }
}

export function assertNotDefault(exchange: string): void {
  if (exchange !== '') return;
  throw channelError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
}

export function assertDeletable(exchange: string, vhost: string): void {
  assertNotDefault(exchange);
  if (!exchange.startsWith('amq.')) return;
  const text = `deletion of system exchange '${exchange}' in vhost '${vhost}' not allowed`;
  throw channelError('ACCESS_REFUSED', text);
}

/** Nobody else has it, and nobody guesses it. */
export function generatedName(prefix: string): string {
  return `${prefix}-${randomBytes(16).toString('base64url')}`;
}

export function assertEquivalent(argument: string, received: unknown, current: unknown, at: string): void {
  if (received === current) return;
  throw channelError(
    'PRECONDITION_FAILED',
    `inequivalent arg '${argument}' for ${at}: received '${String(received)}' but current is '${String(current)}'`,
  );
}

/** UTF-8 takes at most 3 bytes a UTF-16 unit, so most need no counting. Throws INVALID_MESSAGE. */
export function assertShortString(what: string, value: string): void {
  const bytesMax = LIMITS.shortStringBytesMax;
  if (value.length * 3 <= bytesMax || Buffer.byteLength(value) <= bytesMax) return;
  throw new BrokerError(
    'INVALID_MESSAGE',
    `The ${what} '${value.slice(0, 40)}…' has ${Buffer.byteLength(value)} bytes.`,
    {
      cure: `Give one of at most ${bytesMax} bytes as UTF-8.`,
    },
  );
}

export function damagedDefinitions(why: string): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `The journal's definitions are not whole: ${why}.`, {
    severity: 'broker',
    cure: 'Put definitions.json back, or let `nestmq repair` keep what can be read; nothing was thrown away.',
  });
}
