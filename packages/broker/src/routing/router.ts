/** What an exchange does with a routing key. `T` is a destination; binding the same twice is binding once. */
export interface Router<T> {
  bind(key: string, destination: T): void;
  /** Returns whether there was such a binding. */
  unbind(key: string, destination: T): boolean;
  /** Every destination once, however many of its bindings match. */
  route(routingKey: string): ReadonlySet<T>;
}
