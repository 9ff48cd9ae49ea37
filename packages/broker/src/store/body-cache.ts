import type { Message } from '../message/message.js';
import type { Position } from './record.js';

interface Cached {
  readonly message: Message;
  readonly bytes: number;
  /** Queues that have not settled it yet. */
  queues: number;
}

/** What a message costs in memory beside its body. Bytes, estimated. */
const OVERHEAD_BYTES = 256;

/**
 * Recently published messages, up to a byte budget, so that consumers who keep up never read the disk (J8). The
 * oldest go first; those not yet written can't go, since they are nowhere else.
 */
export class BodyCache {
  readonly #cached = new Map<Position, Cached>();
  #bytes = 0;

  constructor(private readonly bytesMax: number) {}

  add(position: Position, message: Message, queues: number): void {
    const bytes = message.body.length + OVERHEAD_BYTES;
    this.#cached.set(position, { message, bytes, queues });
    this.#bytes += bytes;
  }

  get(position: Position): Message | undefined {
    return this.#cached.get(position)?.message;
  }

  /** One queue has settled the message at `position`. */
  release(position: Position): void {
    const cached = this.#cached.get(position);
    if (cached !== undefined && --cached.queues === 0) this.#drop(position, cached);
  }

  /** Brings the cache back into its budget. Messages at `writtenUpTo` and above stay. */
  trim(writtenUpTo: Position): void {
    if (this.#bytes <= this.bytesMax) return;
    for (const [position, cached] of this.#cached) {
      if (this.#bytes <= this.bytesMax || position >= writtenUpTo) break;
      this.#drop(position, cached);
    }
  }

  #drop(position: Position, cached: Cached): void {
    this.#cached.delete(position);
    this.#bytes -= cached.bytes;
  }
}
