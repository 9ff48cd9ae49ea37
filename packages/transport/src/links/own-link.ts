import { describe } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import type { Link, LinkListener } from './link.js';

/**
 * What a link is opened with.
 *
 * @publicApi
 */
export interface LinkInit {
  /** Told what happens to the link: that it is connected, before the opening resolves. */
  readonly listener: LinkListener;
  /** Aborts when the application shuts down before the link is open: opening should reject then. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a {@link Link} of another make. Resolves when it can be used. Called once for the server of a module and once for
 * each client; who called closes what it got.
 *
 * @publicApi
 */
export type LinkFactory = (init: LinkInit) => Promise<Link>;

const METHODS: readonly (keyof Link)[] = [
  'declareExchange',
  'declareQueue',
  'declareOwnQueue',
  'bindQueue',
  'unbindQueue',
  'queueState',
  'purgeQueue',
  'deleteQueue',
  'peek',
  'take',
  'publish',
  'consume',
  'consumeReplies',
  'forward',
  'flush',
  'close',
];

/** The option `link`. Throws QueueOptionsException when it is no function, or when something else says where messages live. */
export function linkFactoryOf(value: unknown, others: Readonly<Record<string, unknown>>): LinkFactory {
  if (typeof value !== 'function')
    throw new QueueOptionsException(
      `'link' is ${describe(value)}.`,
      'Give a function that opens a link, as in `link: async ({ listener }) => MyLink.open(listener)`.',
    );
  const other = Object.keys(others).find((key) => others[key] !== undefined);
  if (other === undefined) return value as LinkFactory;
  throw new QueueOptionsException(
    `There is 'link', and '${other}' as well.`,
    "A link of your own knows where messages live: leave 'url', 'urls', 'amqp' and 'broker' out.",
  );
}

/** Rejects as the factory does, and with QueueOptionsException when what it opened is no link. */
export async function openOwnLink(open: LinkFactory, init: LinkInit): Promise<Link> {
  const link: unknown = await open(init);
  for (const method of METHODS) {
    const found = (link as Partial<Record<string, unknown>> | undefined)?.[method];
    if (typeof found === 'function') continue;
    throw new QueueOptionsException(
      `What 'link' has opened has no method '${method}': that is ${describe(found)}.`,
      'Give all methods of Link; linkContract of @nestmq/transport/link-contract says what they do.',
    );
  }
  return link as Link;
}
