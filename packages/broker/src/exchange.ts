import type { PolicyDefinition, PolicyTarget } from './definitions/access-definitions.js';
import type { ExchangeType } from './definitions/definitions.js';
import { type ExchangeKind, kindOf, type RouterEnvironment } from './exchange-types.js';
import type { Routable } from './message/copy-keys.js';
import type { Arguments } from './message/arguments.js';
import { textOf } from './message/field-text.js';
import type { DelayQueue } from './queue/delay-queue.js';
import type { Queue } from './queue/queue.js';
import type { Router } from './routing/router.js';

/** Where an exchange sends messages. */
export type Destination = Queue | Exchange;

export const ALTERNATE_EXCHANGE = 'alternate-exchange';

export interface Binding {
  readonly destination: Destination;
  readonly key: string;
  readonly args: Arguments;
}

export interface ExchangeInit {
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** Nobody publishes to it but other exchanges, and queues with their dead letters. */
  readonly internal: boolean;
  readonly args: Arguments;
}

export class Exchange implements PolicyTarget {
  readonly kind: ExchangeKind;
  readonly #router: Router<Destination>;
  /** By destination; then by {@link idOf}. */
  readonly #bindings = new Map<Destination, Map<string, Binding>>();
  #exchangesBound = 0;
  /** Bindings that have arguments. */
  #withArguments = 0;
  /** The exchange that gets what goes nowhere from here. */
  alternate: string | undefined;
  readonly #ownAlternate: string | undefined;
  /** Where it holds messages that have a delay. */
  #delays: DelayQueue | undefined;
  /** All that it routes goes to queues, or nowhere, at once: its router's answer is the last word. */
  isLast: boolean;

  /** `at` names it in errors. Throws PRECONDITION_FAILED for arguments that its type does not take. */
  constructor(
    readonly init: ExchangeInit,
    environment: RouterEnvironment<Destination>,
    at: string,
  ) {
    this.kind = kindOf(init.type, init.args.fields);
    this.#router = this.kind.newRouter(init.args.fields, environment, at);
    const alternate = init.args.fields.find(({ name }) => name === ALTERNATE_EXCHANGE);
    this.alternate = this.#ownAlternate = textOf(alternate);
    this.isLast = this.alternate === undefined;
  }

  /** An alternate exchange by argument comes before one by policy (RabbitMQ, "Alternate Exchanges"). */
  applyPolicy(definition: PolicyDefinition | undefined): void {
    const byPolicy = definition?.[ALTERNATE_EXCHANGE];
    this.alternate = this.#ownAlternate ?? (typeof byPolicy === 'string' ? byPolicy : undefined);
    this.#look();
  }

  get name(): string {
    return this.init.name;
  }

  get delays(): DelayQueue | undefined {
    return this.#delays;
  }

  /** From now on messages with a delay are held there. */
  delayIn(queue: DelayQueue): void {
    this.#delays = queue;
    this.#look();
  }

  get durable(): boolean {
    return this.init.durable;
  }

  /** It is the source of a binding. */
  get isBound(): boolean {
    return this.#bindings.size > 0;
  }

  bindings(): Binding[] {
    return Array.from(this.#bindings.values()).flatMap((ofOne) => Array.from(ofOne.values()));
  }

  leadsTo(destination: Destination): boolean {
    return this.#bindings.has(destination);
  }

  find(destination: Destination, key: string, args: Arguments): Binding | undefined {
    return this.#bindings.get(destination)?.get(idOf({ key, args }));
  }

  bind(binding: Binding): void {
    const { destination, key, args } = binding;
    const ofOne = this.#bindings.get(destination);
    if (args.id !== '') this.#withArguments++;
    const isNew = this.kind.isByArguments || !this.#hasKey(ofOne, key);
    if (ofOne !== undefined) ofOne.set(idOf(binding), binding);
    else this.#bindings.set(destination, new Map([[idOf(binding), binding]]));
    if (isNew) this.#router.bind(key, destination, args.fields);
    if (ofOne === undefined && destination instanceof Exchange) this.#exchangesBound++;
    this.#look();
  }

  /** One that is there. */
  unbind(binding: Binding): void {
    const { destination, key, args } = binding;
    const ofOne = this.#bindings.get(destination);
    if (ofOne?.delete(idOf(binding)) !== true) return;
    if (this.kind.isByArguments || !this.#hasKey(ofOne, key))
      this.#router.unbind(key, destination, args.fields);
    if (args.id !== '') this.#withArguments--;
    if (ofOne.size > 0) return;
    this.#bindings.delete(destination);
    if (destination instanceof Exchange) this.#exchangesBound--;
    this.#look();
  }

  /** Removes all bindings to a destination, and returns them. */
  unbindAll(destination: Destination): Binding[] {
    const all = [...(this.#bindings.get(destination)?.values() ?? [])];
    for (const binding of all) this.unbind(binding);
    return all;
  }

  /** Without arguments there is one binding by a key: none is looked for. */
  #hasKey(bindings: ReadonlyMap<string, Binding> | undefined, key: string): boolean {
    if (bindings === undefined || this.#withArguments === 0) return false;
    for (const one of bindings.values()) if (one.key === key) return true;
    return false;
  }

  #look(): void {
    this.isLast = this.alternate === undefined && this.#exchangesBound === 0 && this.#delays === undefined;
  }

  /** By one key, as its bindings say. */
  route(routingKey: string, message: Routable): ReadonlySet<Destination> {
    return this.#router.route(routingKey, message);
  }
}

/** Two bindings to one destination that differ in their arguments are two. */
function idOf({ key, args }: Pick<Binding, 'key' | 'args'>): string {
  return `${args.id} ${key}`;
}
