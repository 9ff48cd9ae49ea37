import type { Router } from './router.js';

interface TopicNode<T> {
  readonly words: Map<string, TopicNode<T>>;
  star: TopicNode<T> | undefined;
  hash: TopicNode<T> | undefined;
  /** A `#` stays where it is for every further word. */
  readonly isHash: boolean;
  readonly destinations: Set<T>;
}

function newNode<T>(isHash: boolean): TopicNode<T> {
  return { words: new Map(), star: undefined, hash: undefined, isHash, destinations: new Set() };
}

/** Results kept for routing keys seen before; cleared whenever a binding changes. */
const REMEMBERED_KEYS_MAX = 4096;

/**
 * AMQP 0-9-1 section 3.1.3.3: words between dots, `*` is one word, `#` is none or more.
 *
 * A trie, walked with all its possible places at once, so that the time is bounded by words × places even for keys
 * and patterns made to hurt.
 */
export class TopicRouter<T> implements Router<T> {
  readonly #root = newNode<T>(false);
  readonly #remembered = new Map<string, ReadonlySet<T>>();

  bind(key: string, destination: T): void {
    this.#remembered.clear();
    let node = this.#root;
    for (const word of key.split('.')) node = childFor(node, word);
    node.destinations.add(destination);
  }

  unbind(key: string, destination: T): boolean {
    this.#remembered.clear();
    return remove(this.#root, key.split('.'), 0, destination);
  }

  route(routingKey: string): ReadonlySet<T> {
    let found = this.#remembered.get(routingKey);
    if (found === undefined) {
      found = this.#match(routingKey.split('.'));
      if (this.#remembered.size >= REMEMBERED_KEYS_MAX) this.#remembered.clear();
      this.#remembered.set(routingKey, found);
    }
    return found;
  }

  #match(words: string[]): ReadonlySet<T> {
    let places = new Set<TopicNode<T>>();
    enter(places, this.#root);
    for (const word of words) {
      const next = new Set<TopicNode<T>>();
      for (const node of places) {
        if (node.isHash) enter(next, node);
        enter(next, node.words.get(word));
        enter(next, node.star);
      }
      places = next;
    }
    const found = new Set<T>();
    for (const node of places) for (const destination of node.destinations) found.add(destination);
    return found;
  }
}

/** Being at a node is being behind its `#` too, which may stand for no word. */
function enter<T>(places: Set<TopicNode<T>>, node: TopicNode<T> | undefined): void {
  for (let at = node; at !== undefined && !places.has(at); at = at.hash) places.add(at);
}

function childFor<T>(node: TopicNode<T>, word: string): TopicNode<T> {
  if (word === '*') return (node.star ??= newNode(false));
  if (word === '#') return (node.hash ??= newNode(true));
  let child = node.words.get(word);
  if (child === undefined) node.words.set(word, (child = newNode(false)));
  return child;
}

function existingChild<T>(node: TopicNode<T>, word: string): TopicNode<T> | undefined {
  if (word === '*') return node.star;
  return word === '#' ? node.hash : node.words.get(word);
}

/** Removes the binding and the nodes that it alone needed. */
function remove<T>(node: TopicNode<T>, words: readonly string[], at: number, destination: T): boolean {
  const word = words[at];
  if (word === undefined) return node.destinations.delete(destination);
  const child = existingChild(node, word);
  if (child === undefined || !remove(child, words, at + 1, destination)) return false;
  const used =
    child.destinations.size > 0 ||
    child.words.size > 0 ||
    child.star !== undefined ||
    child.hash !== undefined;
  if (!used) {
    if (word === '*') node.star = undefined;
    else if (word === '#') node.hash = undefined;
    else node.words.delete(word);
  }
  return true;
}
