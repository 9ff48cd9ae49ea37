import { fileURLToPath } from 'node:url';
import { QueueOptionsException } from '../queue.exceptions.js';
import { normaliseAmqpOptions, type NormalisedAmqpOptions } from './amqp-options.js';
import { isAmqpUrl, printable } from './amqp-url.js';
import { type LinkFactory, linkFactoryOf } from './own-link.js';

/** Where messages live. */
export type Home =
  | { readonly memory: string }
  | { readonly directory: string }
  | { readonly amqp: NormalisedAmqpOptions }
  | { readonly link: LinkFactory };

/** What says where messages live. */
export interface HomeOptions {
  readonly url?: unknown;
  readonly urls?: unknown;
  /** Used with AMQP URLs, and checked with any. */
  readonly amqp?: unknown;
  readonly broker?: unknown;
  readonly link?: unknown;
}

/** Throws QueueOptionsException for what names no home, which never has credentials in its message. */
export function homeOf({ url, urls, amqp, broker, link }: HomeOptions, queue: string): Home {
  if (link !== undefined) return { link: linkFactoryOf(link, { url, urls, amqp, broker }) };
  if (urls !== undefined) {
    if (url === undefined && Array.isArray(urls) && urls.length > 0)
      return { amqp: normaliseAmqpOptions(urls, amqp, queue) };
    throw new QueueOptionsException("'urls' is no list, or there is 'url' as well.", 'Give one of the two.');
  }
  if (isAmqpUrl(url)) return { amqp: normaliseAmqpOptions([url], amqp, queue) };
  // Not used, but right: one changes the URL, and the rest stays.
  normaliseAmqpOptions([], amqp, queue);
  return parseUrl(url);
}

function parseUrl(url: unknown): Home {
  if (typeof url === 'string') {
    const directory = fileDirectory(url);
    if (directory !== undefined) return { directory };
    if (url.startsWith('memory:')) return { memory: url.slice('memory:'.length) };
  }
  throw new QueueOptionsException(
    `'url' is ${printable(url)}.`,
    "Give 'file:DIR' (as in 'file:./data/mq') to keep messages on the disk, 'memory:' to keep them in this process, or 'amqp://HOST' for RabbitMQ.",
  );
}

/** `file:./a` and `file:/a` are paths as they stand; `file:///a` is a URL. Undefined for what names no directory here. */
function fileDirectory(url: string): string | undefined {
  if (!url.startsWith('file:')) return undefined;
  const path = url.slice('file:'.length);
  if (!path.startsWith('//')) return path === '' ? undefined : path;
  try {
    return fileURLToPath(url);
  } catch {
    // Of another host, or wrongly encoded.
    return undefined;
  }
}
