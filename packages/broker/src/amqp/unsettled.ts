import { contentBytesOf } from '../message/message.js';
import type { Delivery } from '../queue/delivery.js';
import { AmqpError } from './amqp-error.js';

/** A channel's deliveries that wait to be settled, by their tags, which only grow. */
export class Unsettled {
  #byTag = new Map<number | bigint, Delivery>();
  /** Of them, those that were got and not consumed: no prefetch counts them. */
  #got = 0;
  #bytes = 0;

  get count(): number {
    return this.#byTag.size;
  }

  /** Of their bodies and properties. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those that count for the channel's prefetch. */
  get consumedCount(): number {
    return this.#byTag.size - this.#got;
  }

  add(tag: number, delivery: Delivery): void {
    this.#byTag.set(tag, delivery);
    this.#bytes += contentBytesOf(delivery.message);
    if (isGot(delivery)) this.#got++;
  }

  /**
   * Takes out one, or all up to one; tag 0 with `multiple` is all there are. Throws PRECONDITION_FAILED, as RabbitMQ,
   * when the tag itself is not there.
   */
  take(tag: number | bigint, multiple: boolean): [number, Delivery][] {
    if (multiple && tag === 0) return this.takeAll();
    const one = this.#byTag.get(tag);
    if (one === undefined) throw new AmqpError('PRECONDITION_FAILED', `unknown delivery tag ${tag}`);
    const taken: [number, Delivery][] = multiple ? [] : [[tag as number, one]];
    if (multiple) {
      for (const [each, delivery] of this.#byTag) {
        if (each > tag) break;
        taken.push([each as number, delivery]);
      }
    }
    for (const [each, delivery] of taken) this.#remove(each, delivery);
    return taken;
  }

  /** Takes out one; undefined where {@link take} throws. */
  takeOne(tag: number): Delivery | undefined {
    const one = this.#byTag.get(tag);
    if (one !== undefined) this.#remove(tag, one);
    return one;
  }

  takeAll(): [number, Delivery][] {
    const all = [...this.#byTag] as [number, Delivery][];
    this.#byTag.clear();
    this.#got = 0;
    this.#bytes = 0;
    return all;
  }

  /** Puts back what was taken, at its place. */
  putBack(taken: readonly [number, Delivery][]): void {
    const all = [...this.takeAll(), ...taken].toSorted(([a], [b]) => a - b);
    for (const [tag, delivery] of all) this.add(tag, delivery);
  }

  #remove(tag: number, delivery: Delivery): void {
    this.#byTag.delete(tag);
    this.#bytes -= contentBytesOf(delivery.message);
    if (isGot(delivery)) this.#got--;
  }
}

/** What is got has a holder in place of a consumer, and that has no tag. */
function isGot({ consumer }: Delivery): boolean {
  return consumer.tag === '';
}
