import { Queue } from './queue/queue.js';
import { JournalStore } from './store/journal-store.js';

/** Replaces a method for all objects of a class; returns what puts it back. */
export function replace<T extends object, K extends keyof T>(
  prototype: T,
  method: K,
  by: (original: T[K]) => T[K],
): () => void {
  const original = prototype[method];
  prototype[method] = by(original);
  return () => {
    prototype[method] = original;
  };
}

/** While a method of the class runs, `isRunning` is true. */
export function noticing<T extends object>(
  prototype: T,
  method: keyof T,
): { readonly isRunning: () => boolean; readonly takeOut: () => void } {
  let depth = 0;
  const takeOut = replace(prototype, method, (original) => {
    const noticed = function (this: T, ...values: unknown[]): unknown {
      depth++;
      try {
        return (original as (...values: unknown[]) => unknown).apply(this, values);
      } finally {
        depth--;
      }
    };
    return noticed as T[keyof T];
  });
  return { isRunning: () => depth > 0, takeOut };
}

/** While a method of a queue runs, what it discards is not written. */
export function settlingUnwritten(method: 'purge' | 'delete'): (() => void)[] {
  const { isRunning, takeOut } = noticing(Queue.prototype, method);
  return [
    takeOut,
    replace(
      JournalStore.prototype,
      'discard',
      (original) =>
        function (this: JournalStore, queueId, through, kept, positions) {
          if (!isRunning()) original.call(this, queueId, through, kept, positions);
          // Of a queue that there is not, so that only the count of what is needed goes down.
          else for (const position of positions) this.settle(0, 0, position);
        },
    ),
  ];
}

/** Definitions of such a kind are not written when they go. */
export function keepingDefinitions(kind: 'queue' | 'exchange' | 'binding'): (() => void)[] {
  return [
    replace(
      JournalStore.prototype,
      'define',
      (original) =>
        function (this: JournalStore, key, value) {
          if (value !== null || !key.startsWith(`["${kind}"`)) original.call(this, key, value);
        },
    ),
  ];
}
