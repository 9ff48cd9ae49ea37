import type { Message } from '@nestmq/broker';
import { QueueUnavailableException } from '../queue.exceptions.js';
import type { PublishOptions } from './link.js';

/** Whether it has waited in the link for so long that it is not sent any more. */
export function isExpired({ expiresAt }: PublishOptions, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt <= nowMs;
}

/** The message, to be given up by the broker after what is left of its time. */
export function expiring(message: Message, { expiresAt }: PublishOptions, nowMs: number): Message {
  if (expiresAt === undefined) return message;
  const expiration = String(Math.max(1, Math.ceil(expiresAt - nowMs)));
  return { ...message, properties: { ...message.properties, expiration } };
}

export function expiredInLink(): Error {
  return new QueueUnavailableException(
    'It was not sent: it waited for the broker until nobody waited for it any more.',
  );
}
