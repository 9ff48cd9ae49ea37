import type * as amqplib from 'amqplib';
import { QueueOptionsException } from '../queue.exceptions.js';

export type Amqplib = Pick<typeof amqplib, 'connect'>;

/** Who uses no AMQP URL need not install it. Throws QueueOptionsException where it is not installed. */
export async function loadAmqplib(
  load: () => Promise<unknown> = async () => import('amqplib'),
): Promise<Amqplib> {
  try {
    const loaded = (await load()) as Amqplib & { readonly default?: Amqplib };
    return loaded.default ?? loaded;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new QueueOptionsException(
      "AMQP URLs need the package 'amqplib', which is not installed.",
      "Run 'npm install amqplib'.",
    );
  }
}
