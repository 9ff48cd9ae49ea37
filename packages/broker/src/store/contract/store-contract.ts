import { type ContractExpect, type ContractRunner, timedIt, type TimedIt } from '../../contract-runner.js';
import type { MessageStore, Recovered } from '../message-store.js';
import { keepingContract } from './keeping-contract.js';
import { recoveryContract } from './recovery-contract.js';

export {
  type ContractExpect,
  type ContractIt,
  type ContractMatchers,
  type ContractRunner,
  timedIt,
  type TimedIt,
} from '../../contract-runner.js';

/**
 * What a store may lack; all else holds for every store.
 *
 * - `durability`: what it has is there again when it is opened anew. A store in memory lacks it.
 * - `killing`: the place can be left as SIGKILL would leave it. It is a matter of the test: a durable store that can't be
 *   killed there should be shown to survive that elsewhere.
 *
 * @publicApi
 */
export type StoreFeature = 'durability' | 'killing';

/**
 * One place where stores keep what they have, empty at first: a directory, a table, a bucket.
 *
 * @publicApi
 */
export interface StorePlace {
  /** A new store on it, not opened yet. The one before is closed or killed. */
  store(): MessageStore;
  /** Leaves it as SIGKILL would, at this moment: the open store has no effect any more. Needed unless it lacks `killing`. */
  kill?(): void | Promise<void>;
  /** After the test, when its stores are closed. @default nothing */
  remove?(): void | Promise<void>;
}

/**
 * Whose contract it is.
 *
 * @publicApi
 */
export interface StoreContractOptions {
  readonly runner: ContractRunner;
  /** Called for each test. */
  readonly place: () => StorePlace | Promise<StorePlace>;
  /** Tests of these are skipped. @default nothing */
  readonly lacks?: readonly StoreFeature[];
  /** A test that takes longer fails. Milliseconds. @default 10_000 */
  readonly timeoutMs?: number;
}

/** What a part of the contract works with. @internal */
export interface StoreContract {
  readonly it: TimedIt;
  /** The same for what a store may lack. */
  readonly itUnless: (feature: StoreFeature) => TimedIt;
  readonly expect: ContractExpect;
  /** A store on the test's place, which is empty. */
  readonly opened: () => Promise<MessageStore>;
  /** Closes it and opens another. */
  readonly reopened: () => Promise<{ readonly store: MessageStore; readonly recovered: Recovered }>;
  readonly kill: () => Promise<void>;
}

/**
 * Defines the tests of {@link MessageStore}, sentence by sentence, in a block of their own. The same ones hold the stores of
 * this package; see docs/extending.md.
 *
 * @publicApi
 */
export function storeContract(title: string, options: StoreContractOptions): void {
  const { runner, lacks = [], timeoutMs = 10_000 } = options;
  runner.describe(`the contract of a message store: ${title}`, () => {
    const places = new Places(options);
    runner.afterEach(() => places.leave());
    const it = timedIt(runner, timeoutMs);
    const skip: TimedIt = (name, body) => runner.it.skip(name, body);
    const contract: StoreContract = {
      it,
      itUnless: (feature) => (lacks.includes(feature) ? skip : it),
      expect: runner.expect,
      async opened() {
        const { store, recovered } = await places.open();
        runner.expect([recovered.entries.size, recovered.definitions.size]).toEqual([0, 0]);
        runner.expect([store.failure, store.blocked]).toEqual([undefined, undefined]);
        return store;
      },
      reopened: () => places.open(),
      kill: () => places.kill(),
    };
    keepingContract(contract);
    recoveryContract(contract);
  });
}

/** The place of the test that runs. */
class Places {
  readonly #make: StoreContractOptions['place'];
  #place: StorePlace | undefined;
  #store: MessageStore | undefined;

  constructor({ place }: StoreContractOptions) {
    this.#make = place;
  }

  async open(): Promise<{ readonly store: MessageStore; readonly recovered: Recovered }> {
    this.#place ??= await this.#make();
    await this.#store?.close();
    const store = this.#place.store();
    this.#store = store;
    return { store, recovered: await store.open() };
  }

  async kill(): Promise<void> {
    await this.#place?.kill?.();
    this.#store = undefined;
  }

  async leave(): Promise<void> {
    const [place, store] = [this.#place, this.#store];
    this.#place = this.#store = undefined;
    await store?.close();
    await place?.remove?.();
  }
}
