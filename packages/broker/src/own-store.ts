import { BrokerError } from './errors.js';
import type { NormalisedBrokerOptions } from './options.js';
import type { PublishGate } from './publish-gate.js';
import type { MessageStore, StoreFactory } from './store/message-store.js';

const METHODS: readonly (keyof MessageStore)[] = [
  'open',
  'publish',
  'transact',
  'settle',
  'requeue',
  'move',
  'discard',
  'compactFor',
  'define',
  'whenDurable',
  'peek',
  'read',
  'close',
];

/** What the option `store` makes. Throws as it does, and INVALID_OPTION when that is no store. */
export function ownStore(
  make: StoreFactory,
  options: NormalisedBrokerOptions,
  gate: PublishGate,
): MessageStore {
  const { clock, onFailure, onHealed } = options;
  const store: unknown = make({
    clock,
    onFailure,
    onHealed,
    onBlocked: (reason) => gate.set('disk', reason),
  });
  for (const method of METHODS) {
    const found = (store as Partial<Record<string, unknown>> | undefined)?.[method];
    if (typeof found === 'function') continue;
    throw new BrokerError('INVALID_OPTION', `What 'store' has made has no method '${method}'.`, {
      cure: 'Give all methods of MessageStore; storeContract of @nestmq/broker/store-contract says what they do.',
    });
  }
  return store as MessageStore;
}
