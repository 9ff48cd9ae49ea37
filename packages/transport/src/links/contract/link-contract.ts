import {
  type ContractExpect,
  type ContractRunner,
  timedIt,
  type TimedIt,
} from '@nestmq/broker/store-contract';
import type { Link, LinkListener } from '../link.js';
import { consumingContract } from './consuming-contract.js';
import { publishAll, SILENT } from './contract-support.js';
import { expiringContract } from './expiring-contract.js';
import { losingContract } from './losing-contract.js';
import { publishingContract } from './publishing-contract.js';
import { topologyContract } from './topology-contract.js';

export type {
  ContractExpect,
  ContractIt,
  ContractMatchers,
  ContractRunner,
} from '@nestmq/broker/store-contract';

/**
 * What a link may lack; all else holds for every link.
 *
 * - `connection`: there is one that can be lost. In this process there is none.
 * - `blocking`: a broker may take no publishes for a while. One that always takes them lacks it.
 * - `exclusiveConsumers`: an `exclusive` consumer is refused beside another, and the other way round. The quorum queues of RabbitMQ
 *   3.10 lack it; nothing of the transport needs it.
 * - `priorities`: `maxPriority` of a queue. Without, handlers with `priority` get messages in their order.
 * - `queueArguments`: `x-` arguments have RabbitMQ's meaning (a time to live, a length, a delivery limit), and other ones than
 *   before are told. Without, what an application sets in `queueOptions.arguments` has no effect.
 *
 * @publicApi
 */
export type LinkFeature = 'connection' | 'blocking' | 'exclusiveConsumers' | 'priorities' | 'queueArguments';

/**
 * A broker for the contract of its links, and what can be done to it.
 *
 * @publicApi
 */
export interface LinkHome {
  /** A new link to it, that can be used. Called several times a test: all are links to the same broker. */
  open(listener: LinkListener): Promise<Link>;
  /** Cuts all connections of its links, which then come back. Needed unless links lack `connection`. */
  cut?(): void;
  /** Makes the broker take no publishes, or take them again. Needed unless it lacks `blocking`. */
  block?(blocked: boolean): void | Promise<void>;
  /** After the last test. */
  close(): Promise<void>;
}

/**
 * Whose contract it is.
 *
 * @publicApi
 */
export interface LinkContractOptions {
  readonly runner: ContractRunner;
  /** Called once, before the first test. Resolves with undefined where the broker is not there: then every test passes. */
  readonly start: () => Promise<LinkHome | undefined>;
  /** Tests of these are skipped. @default nothing */
  readonly lacks?: readonly LinkFeature[];
  /** A test that takes longer fails; two wait for up to half a minute more. Milliseconds. @default 30_000 */
  readonly timeoutMs?: number;
}

/** What a part of the contract works with. @internal */
export interface LinkContract {
  readonly it: TimedIt;
  /** The same for what a link may lack. */
  readonly itUnless: (feature: LinkFeature) => TimedIt;
  readonly expect: ContractExpect;
  readonly home: () => LinkHome;
  /** A new link, closed after the test; its listener does nothing unless it is given. */
  readonly open: (listener?: LinkListener) => Promise<Link>;
  /** A new link, with a new queue that has these messages. */
  readonly filled: (...bodies: string[]) => Promise<{ readonly link: Link; readonly queue: string }>;
  /** A name that no other test has. */
  readonly name: (what: string) => string;
}

/** A cluster takes a while. Milliseconds. */
const START_MS = 180_000;

let runs = 0;

/**
 * Defines the tests of {@link Link}, sentence by sentence, in a block of their own. The same ones hold the links of this
 * package, over memory, files, AMQP and RabbitMQ; see docs/extending.md.
 *
 * @publicApi
 */
export function linkContract(title: string, options: LinkContractOptions): void {
  const { runner, start, timeoutMs = 30_000 } = options;
  runner.describe(`the contract of a link: ${title}`, () => {
    let started: LinkHome | undefined;
    const links: Link[] = [];
    runner.beforeAll(async () => {
      started = await start();
    }, START_MS);
    runner.afterEach(async () => {
      for (const link of links.splice(0)) await link.close();
    });
    runner.afterAll(async () => started?.close());
    const timed = timedIt(runner, timeoutMs);
    const it: TimedIt = (name, body, moreMs) =>
      timed(name, async () => (started === undefined ? undefined : body()), moreMs);
    const contract = contractOf(options, it, {
      home: () => started as LinkHome,
      onOpen: (link) => links.push(link),
    });
    topologyContract(contract);
    publishingContract(contract);
    expiringContract(contract);
    consumingContract(contract);
    losingContract(contract);
  });
}

interface Opened {
  readonly home: () => LinkHome;
  readonly onOpen: (link: Link) => void;
}

function contractOf(options: LinkContractOptions, it: TimedIt, { home, onOpen }: Opened): LinkContract {
  const { runner, lacks = [] } = options;
  const run = `${process.pid}.${runs++}`;
  let names = 0;
  const skip: TimedIt = (name, body) => runner.it.skip(name, body);
  const contract: LinkContract = {
    it,
    itUnless: (feature) => (lacks.includes(feature) ? skip : it),
    expect: runner.expect,
    home,
    async open(listener = SILENT) {
      const link = await home().open(listener);
      onOpen(link);
      return link;
    },
    async filled(...bodies) {
      const [link, queue] = [await contract.open(), contract.name('queue')];
      await link.declareQueue(queue);
      await publishAll(link, queue, bodies);
      return { link, queue };
    },
    name: (what) => `contract.${run}.${what}${names++}`,
  };
  return contract;
}
