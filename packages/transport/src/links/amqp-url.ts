import { describe } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';

/** One broker node, and how to log in there. */
export interface AmqpEndpoint {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  /** A function, so that no printed object has them. */
  readonly credentials: () => { readonly username: string; readonly password: string };
}

const URL_FORM = /^(amqps?):\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^/?#]*))?$/;
const HOST_FORM = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i;

export function isAmqpUrl(url: unknown): url is string {
  return typeof url === 'string' && /^amqps?:/.test(url);
}

/** `amqp://USER:PASSWORD@HOST:PORT,HOST…/VHOST`, each part but the first host optional. Throws QueueOptionsException. */
export function parseAmqpUrl(url: string): readonly AmqpEndpoint[] {
  const [, protocol, login, hosts, vhost] = URL_FORM.exec(url) ?? [];
  if (protocol === undefined || hosts === undefined) throw unreadable(url);
  const tls = protocol === 'amqps';
  const [username = '', password = ''] = (login ?? 'guest:guest').split(/:(.*)/s);
  try {
    const decoded = { username: decodeURIComponent(username), password: decodeURIComponent(password) };
    const common = {
      tls,
      vhost: vhost === undefined || vhost === '' ? '/' : decodeURIComponent(vhost),
      credentials: () => decoded,
    };
    return hosts.split(',').map((host) => Object.assign(hostIn(host, tls, url), common));
  } catch (error) {
    throw error instanceof URIError ? unreadable(url) : error;
  }
}

function hostIn(text: string, tls: boolean, url: string): Pick<AmqpEndpoint, 'host' | 'port'> {
  const [, ipv6, name, port] = HOST_FORM.exec(text) ?? [];
  const host = ipv6 ?? name;
  const number = port === undefined ? (tls ? 5671 : 5672) : Number(port);
  if (host === undefined || number < 1 || number > 65_535) throw unreadable(url);
  return { host, port: number };
}

/** Where it is, without who logs in. */
export function locationOf({ tls, host, port, vhost }: AmqpEndpoint): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'amqps' : 'amqp'}://${name}:${port}/${vhost === '/' ? '' : encodeURIComponent(vhost)}`;
}

/** What was given as a URL, as it may be printed: whoever logs in is left out. */
export function printable(url: unknown): string {
  return describe(typeof url === 'string' ? url.replace(/^(\w+:)?(\/*).*@/s, '$1$2***@') : url);
}

function unreadable(url: string): QueueOptionsException {
  return new QueueOptionsException(
    `${printable(url)} is no AMQP URL.`,
    "Give 'amqp://USER:PASSWORD@HOST:PORT/VHOST' (several hosts with commas between them, what is special in a name or password percent-encoded); everything else goes under the option 'amqp'.",
  );
}
