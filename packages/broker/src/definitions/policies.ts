import { Pattern } from '../pattern/pattern.js';
import type { Policy, PolicyDefinition, PolicyScope } from './access-definitions.js';

/** A queue or an exchange, as a policy knows it. */
export interface PolicySubject {
  readonly kind: 'queue' | 'exchange';
  readonly name: string;
  /** Of a queue. @default classic */
  readonly queueType?: 'classic' | 'quorum';
}

type NamedPolicy = readonly [name: string, Policy];

/** Which policies are in effect for something, and what they say together. */
export interface EffectivePolicy {
  readonly policy: string | undefined;
  readonly operatorPolicy: string | undefined;
  readonly definition: PolicyDefinition;
}

/** Of these an operator policy can only lower a value (RabbitMQ, "Operator Policies"). */
const LIMITS_OF_OPERATORS: ReadonlySet<string> = new Set([
  'delivery-limit',
  'expires',
  'max-in-memory-bytes',
  'max-in-memory-length',
  'max-length',
  'max-length-bytes',
  'message-ttl',
]);

/** The policies of one vhost, ready to be asked. */
export class Policies {
  readonly #policies: readonly Compiled[];
  readonly #operatorPolicies: readonly Compiled[];

  constructor(policies: readonly NamedPolicy[], operatorPolicies: readonly NamedPolicy[]) {
    this.#policies = compiled(policies);
    this.#operatorPolicies = compiled(operatorPolicies);
  }

  /** Undefined when none matches. One policy at most is in effect, and one operator policy over it. */
  effectiveFor(subject: PolicySubject): EffectivePolicy | undefined {
    const policy = firstMatch(this.#policies, subject);
    const operatorPolicy = firstMatch(this.#operatorPolicies, subject);
    if (policy === undefined && operatorPolicy === undefined) return undefined;
    return {
      policy: policy?.[0],
      operatorPolicy: operatorPolicy?.[0],
      definition: merged(policy?.[1].definition ?? {}, operatorPolicy?.[1].definition ?? {}),
    };
  }
}

interface Compiled {
  readonly named: NamedPolicy;
  readonly pattern: Pattern;
}

/** Highest priority first, then by name, so that the answer does not depend on the order of definition. */
function compiled(policies: readonly NamedPolicy[]): Compiled[] {
  return policies
    .map((named) => ({ named, pattern: Pattern.of(named[1].pattern) }))
    .toSorted(({ named: a }, { named: b }) => b[1].priority - a[1].priority || (a[0] < b[0] ? -1 : 1));
}

function firstMatch(policies: readonly Compiled[], subject: PolicySubject): NamedPolicy | undefined {
  return policies.find(
    ({ named, pattern }) => isInScope(named[1].applyTo, subject) && pattern.matches(subject.name),
  )?.named;
}

function isInScope(applyTo: PolicyScope, { kind, queueType = 'classic' }: PolicySubject): boolean {
  if (applyTo === 'all' || applyTo === `${kind}s`) return true;
  return kind === 'queue' && applyTo === `${queueType}_queues`;
}

function merged(own: PolicyDefinition, operators: PolicyDefinition): PolicyDefinition {
  const result: Record<string, unknown> = { ...own };
  for (const [key, value] of Object.entries(operators)) {
    const current = own[key];
    const isLimit = LIMITS_OF_OPERATORS.has(key) && typeof current === 'number' && typeof value === 'number';
    result[key] = isLimit ? Math.min(current, value) : value;
  }
  return result;
}
