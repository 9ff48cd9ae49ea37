import { BrokerError } from '../errors.js';
import { Pattern } from '../pattern/pattern.js';
import type { Policy, PolicyScope } from './access-definitions.js';
import type { PolicyKeys } from './policy-keys.js';

const SCOPES: readonly PolicyScope[] = ['queues', 'exchanges', 'all', 'classic_queues', 'quorum_queues'];

export function isPolicyScope(text: string): text is PolicyScope {
  return (SCOPES as readonly string[]).includes(text);
}

/** Throws INVALID_DEFINITION; names what the engine would not do. */
export function assertPolicy(name: string, policy: Policy, keys: PolicyKeys): void {
  const { pattern, applyTo, priority, definition } = policy;
  Pattern.of(pattern);
  if (!isPolicyScope(applyTo))
    throw invalid(name, `can't apply to '${String(applyTo)}'`, `Give one of: ${SCOPES.join(', ')}.`);
  if (!Number.isInteger(priority)) throw invalid(name, `has priority ${priority}`, 'Give a whole number.');
  const settings = Object.entries(definition);
  if (settings.length === 0) throw invalid(name, 'sets nothing', 'Give at least one setting.');
  const missing = settings.map(([key]) => key).filter((key) => !keys.has(key));
  if (missing.length > 0) {
    throw invalid(
      name,
      `sets ${missing.map((key) => `'${key}'`).join(', ')}, which has no effect in this broker`,
      keys.size === 0
        ? 'No setting of policies has one yet.'
        : `These have: ${[...keys.keys()].toSorted().join(', ')}.`,
    );
  }
  for (const [key, value] of settings) {
    const fault = keys.get(key)?.fault(value);
    if (fault !== undefined) throw invalid(name, `sets '${key}' to ${JSON.stringify(value)}`, `It ${fault}.`);
  }
}

function invalid(name: string, what: string, cure: string): BrokerError {
  return new BrokerError('INVALID_DEFINITION', `The policy '${name}' ${what}.`, { cure });
}
