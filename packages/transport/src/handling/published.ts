import type { Message } from '@nestmq/broker';
import type { Link } from '../links/link.js';

/** Resolves when the message is durable. It goes on while publishers wait, as a part of what is settled. */
export function published(link: Link, message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => (error === undefined ? resolve() : reject(error));
    link.publish(message, done, { settles: true });
  });
}
