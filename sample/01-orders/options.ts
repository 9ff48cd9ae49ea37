import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export interface SampleOptions {
  readonly once: boolean;
  readonly data: string;
  /** Where messages are. @default `file:` in `data` */
  readonly url?: string;
  readonly orders: string;
  readonly port: number;
}

export const HELP = `Usage: npm start -- [options]

  --once          end when all orders have come to their end
  --data DIR      where ledgers and messages are kept (default ./data/orders)
  --url URL       where messages are kept instead, such as amqp://guest:guest@localhost
  --orders FILE   orders to place, as JSON Lines (default: 2,500 that come with the sample)
  --port N        where the HTTP API listens; 0 is any (default 3000)
  --help          this
`;

/** Returns 'help', or the options. Throws an Error that names what is wrong. */
export function parseOptions(args: readonly string[]): SampleOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      data: { type: 'string', default: './data/orders' },
      url: { type: 'string' },
      orders: { type: 'string', default: ordersOfTheSample() },
      port: { type: 'string', default: '3000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port is '${values.port}': give a number from 0 to 65535.`);
  const { once, data, url, orders } = values;
  return { once, data, orders, port, ...(url === undefined ? {} : { url }) };
}

/** Beside the sources, wherever this was compiled to. */
function ordersOfTheSample(): string {
  const here = import.meta.url.replace(/\/dist\/01-orders\/([^/]*)$/, '/01-orders/$1');
  return fileURLToPath(new URL('./data/orders.jsonl', here));
}
