import type { Routable } from '../message/copy-keys.js';
import type { Field } from '../message/fields.js';

/** What an exchange does with a message. `T` is a destination; binding the same twice is binding once. */
export interface Router<T> {
  /** `args` are the binding's arguments, by name; most routers do not look at them. */
  bind(key: string, destination: T, args: readonly Field[]): void;
  /** `args` is what the binding was made with. Returns whether there was such a binding. */
  unbind(key: string, destination: T, args: readonly Field[]): boolean;
  /** Every destination once, however many of its bindings match. */
  route(routingKey: string, message: Routable): ReadonlySet<T>;
}

/** Of a message that goes nowhere. */
export const NOWHERE: ReadonlySet<never> = new Set<never>();
