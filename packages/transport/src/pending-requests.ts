import type { WritePacket } from '@nestjs/microservices';
import type { Clock, Timer } from '@nestmq/broker';
import { QueueOptionsException } from './queue.exceptions.js';
import { InOrder } from './wire/in-order.js';

export interface PendingRequestInit {
  /** How long it waits for its first answer, and then for each next one; 0 is for ever. */
  readonly timeoutMs: number;
  /** The error for who has waited so long. */
  readonly timedOut: () => Error;
  readonly callback: (packet: WritePacket) => void;
}

interface PendingRequest extends PendingRequestInit {
  /** Answers that take time to be read must not be overtaken. */
  readonly order: InOrder;
  timer: Timer | undefined;
}

/** Requests that wait for answers, by their correlation ids. Each is told once how it ends; none after it was removed. */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #pending = new Map<string, PendingRequest>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#pending.size;
  }

  has(id: string): boolean {
    return this.#pending.has(id);
  }

  /** Throws QueueOptionsException when the id is another one's. */
  add(id: string, init: PendingRequestInit): void {
    if (this.#pending.has(id)) {
      throw new QueueOptionsException(
        `A request with the correlation id '${id}' is under way.`,
        'Give each request another one, or none.',
      );
    }
    const request = { ...init, order: new InOrder(), timer: undefined };
    this.#pending.set(id, request);
    this.#startTimer(id, request);
  }

  /** Nobody waits any more. */
  remove(id: string): void {
    this.#pending.get(id)?.timer?.cancel();
    this.#pending.delete(id);
  }

  /** What comes for nobody is dropped unread. */
  onReply(id: string, read: () => WritePacket | Promise<WritePacket>): void {
    const request = this.#pending.get(id);
    if (request === undefined) return;
    request.timer?.cancel();
    request.order.push(
      read,
      (packet) => this.#deliver(id, request, packet),
      (err) => this.#deliver(id, request, { err }),
    );
  }

  #deliver(id: string, request: PendingRequest, packet: WritePacket): void {
    if (this.#pending.get(id) !== request) return;
    if (packet.err !== undefined || packet.isDisposed === true) this.remove(id);
    else this.#startTimer(id, request);
    request.callback(packet);
  }

  fail(id: string, err: unknown): void {
    const request = this.#pending.get(id);
    if (request !== undefined) this.#deliver(id, request, { err });
  }

  failAll(err: unknown): void {
    for (const id of this.#pending.keys()) this.fail(id, err);
  }

  #startTimer(id: string, request: PendingRequest): void {
    const { timeoutMs, timedOut } = request;
    if (timeoutMs === 0) return;
    request.timer?.cancel();
    request.timer = this.#clock.setTimer(timeoutMs, () => this.fail(id, timedOut()));
  }
}
