import { BrokerError } from '../errors.js';
import type { Message } from '../message/message.js';
import type {
  Appended,
  DurableCallback,
  Held,
  Marks,
  MessageStore,
  Publication,
  Recovered,
} from './message-store.js';
import type { Position } from './record.js';
import { releaseInTurns } from './releases.js';
import { assertStorable } from './storable.js';

/** Messages that no crash survives. Their positions are negative, so that they can't be taken for a record's. */
export class TransientMessages {
  readonly #held = new Map<Position, { readonly message: Message; queues: number }>();
  #last = 0;

  add(message: Message, queues: number): Position {
    const position = --this.#last;
    this.#held.set(position, { message, queues });
    return position;
  }

  get(position: Position): Message | undefined {
    return this.#held.get(position)?.message;
  }

  release(position: Position): void {
    const held = this.#held.get(position);
    if (held !== undefined && --held.queues === 0) this.#held.delete(position);
  }
}

/** {@link MessageStore} without a disk: durable as long as the process lives. Marks are for the next opening. */
export class MemoryStore implements MessageStore {
  readonly #messages = new TransientMessages();
  #sequence = 0;
  readonly failure: Error | undefined = undefined;
  readonly blocked: string | undefined = undefined;

  async open(): Promise<Recovered> {
    return { entries: new Map(), definitions: new Map(), lacksSnapshot: false };
  }

  publish(
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended {
    assertStorable(message, journaledQueueIds.length + otherQueues, marks);
    const position = this.#messages.add(message, journaledQueueIds.length + otherQueues);
    return { sequence: ++this.#sequence, position, transientPosition: position };
  }

  transact(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    for (const { message, journaledQueueIds, otherQueues, marks } of publications) {
      assertStorable(message, journaledQueueIds.length + otherQueues, marks);
    }
    const appended = publications.map(({ message, journaledQueueIds, otherQueues, marks }) =>
      this.publish(message, journaledQueueIds, otherQueues, marks),
    );
    for (const { position } of settled) this.#messages.release(position);
    return appended;
  }

  settle(_queueId: number, _sequence: number, position: Position): void {
    this.#messages.release(position);
  }

  requeue(): void {
    // The queue's own index has the count and the time.
  }

  move(
    from: Held,
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended {
    const moved = this.publish(message, journaledQueueIds, otherQueues, marks);
    this.#messages.release(from.position);
    return moved;
  }

  discard(_queueId: number, _through: number, _kept: readonly number[], positions: Iterable<Position>): void {
    const release = (position: Position): void => this.#messages.release(position);
    releaseInTurns(positions[Symbol.iterator](), release, () => true);
  }

  compactFor(): void {
    // Nothing is in files.
  }

  define(): void {
    // The engine has them; there is no next start.
  }

  whenDurable(callback: DurableCallback): void {
    queueMicrotask(callback);
  }

  peek(position: Position): Message | undefined {
    return this.#messages.get(position);
  }

  async read(positions: readonly Position[]): Promise<Message[]> {
    return positions.map((position) => {
      const message = this.#messages.get(position);
      if (message === undefined) throw new BrokerError('STORE_FAILED', `There is no message at ${position}.`);
      return message;
    });
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}
