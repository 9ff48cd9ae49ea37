import type { PasswordHash } from '../auth/password.js';

/** Who may log in. Their permissions are apart. */
export interface UserDefinition extends PasswordHash {
  /** RabbitMQ's (`administrator`, `monitoring`, `impersonator`, …), and any others. */
  readonly tags: readonly string[];
}

/** What is kept of a vhost, beside its name. */
export interface VhostDefinition {
  readonly description: string;
  readonly tags: readonly string[];
}

/** What a policy is for: RabbitMQ's `apply-to`. */
export type PolicyScope = 'queues' | 'exchanges' | 'all' | 'classic_queues' | 'quorum_queues';

/** RabbitMQ's policy: settings for the queues and exchanges of a vhost whose names match. */
export interface Policy {
  /** A regular expression for names. */
  readonly pattern: string;
  readonly applyTo: PolicyScope;
  /** Of several that match, the one with the highest is in effect. */
  readonly priority: number;
  readonly definition: PolicyDefinition;
}

/** Settings by name: `message-ttl`, `max-length`, … */
export type PolicyDefinition = Readonly<Record<string, unknown>>;

/** What a queue or an exchange does with policies. */
export interface PolicyTarget {
  /** From now on these settings are in effect, in place of earlier ones; undefined: none are. */
  applyPolicy(definition: PolicyDefinition | undefined): void;
}

export type AccessKey =
  | readonly ['user', name: string]
  | readonly ['vhost', name: string]
  | readonly ['permission', user: string, vhost: string]
  | readonly ['topic-permission', user: string, vhost: string, exchange: string]
  | readonly ['policy', vhost: string, name: string]
  | readonly ['operator-policy', vhost: string, name: string];
