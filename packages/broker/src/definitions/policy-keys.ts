/** A setting of policies that the engine gives an effect. */
export interface PolicyKey {
  readonly appliesTo: 'queues' | 'exchanges';
  /** Why the value can't be, if so: `must be a whole number of 0 or more`. */
  fault(value: unknown): string | undefined;
}

/** By name. One that is not here is refused when a policy is set: it would promise what nobody keeps. */
export type PolicyKeys = ReadonlyMap<string, PolicyKey>;

export const POLICY_KEYS: PolicyKeys = new Map();
