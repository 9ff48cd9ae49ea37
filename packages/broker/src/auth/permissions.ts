import { LIMITS } from '../limits.js';
import { Pattern } from '../pattern/pattern.js';

/** What one user may do with the queues and exchanges of one vhost: regular expressions for their names. */
export interface PermissionPatterns {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/** What one user may publish to, and bind from, one topic exchange: regular expressions for routing keys. */
export type TopicPatterns = Pick<PermissionPatterns, 'write' | 'read'>;

export type Permission = keyof PermissionPatterns;

/** Whether a regular expression matches a name, remembered for the names that are asked about. */
class Rule {
  readonly #pattern: Pattern;
  readonly #known = new Map<string, boolean>();

  constructor(source: string) {
    // As RabbitMQ: nothing is allowed that has a name.
    this.#pattern = Pattern.of(source === '' ? '^$' : source);
  }

  allows(name: string): boolean {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    // Names are a stranger's: when there are too many, it is begun anew.
    if (this.#known.size >= LIMITS.knownNamesMax) this.#known.clear();
    const allowed = this.#pattern.matches(name);
    this.#known.set(name, allowed);
    return allowed;
  }
}

/** {@link PermissionPatterns}, ready to be asked. */
export class Permissions {
  readonly #rules: Readonly<Record<Permission, Rule>>;

  constructor({ configure, write, read }: PermissionPatterns) {
    this.#rules = { configure: new Rule(configure), write: new Rule(write), read: new Rule(read) };
  }

  allows(permission: Permission, name: string): boolean {
    return this.#rules[permission].allows(name);
  }
}

/** {@link TopicPatterns} by exchange, ready to be asked. `{username}` and `{vhost}` in them stand for these. */
export class TopicPermissions {
  readonly #rules = new Map<string, Readonly<Record<keyof TopicPatterns, Rule>>>();

  constructor(patterns: Iterable<readonly [exchange: string, TopicPatterns]>, user: string, vhost: string) {
    const fill = (source: string): Rule =>
      new Rule(
        source.replaceAll('{username}', () => quoted(user)).replaceAll('{vhost}', () => quoted(vhost)),
      );
    for (const [exchange, { write, read }] of patterns)
      this.#rules.set(exchange, { write: fill(write), read: fill(read) });
  }

  /** An exchange without a topic permission is restricted by nothing but the permission for itself. */
  restricts(exchange: string): boolean {
    return this.#rules.has(exchange);
  }

  allows(permission: keyof TopicPatterns, exchange: string, routingKey: string): boolean {
    return this.#rules.get(exchange)?.[permission].allows(routingKey) ?? true;
  }
}

/** A name can hold what means something in a regular expression. */
function quoted(name: string): string {
  return name.replaceAll(/[^\w]/g, (character) =>
    (character.codePointAt(0) as number) < 0x80 ? `\\${character}` : character,
  );
}
