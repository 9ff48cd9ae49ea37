import { RpcException } from '@nestjs/microservices';
import { QueueOptionsException } from './queue.exceptions.js';

/**
 * Which messages of a batch have failed.
 *
 * @publicApi
 */
export interface BatchFailures {
  /** The places in the list that the handler got, 0 is the first; a map has the error of each. */
  readonly failed: ReadonlyMap<number, unknown> | Iterable<number>;
}

/**
 * Thrown by the handler of a batch: only these of its messages have failed. Each is tried again or dead-lettered by
 * itself; the others are done with. A place that the batch does not have fails all of it.
 *
 * @publicApi
 */
export class BatchFailedException extends RpcException {
  /** The error of each failed message. */
  readonly failed: ReadonlyMap<number, unknown>;

  /** Throws QueueOptionsException when nothing has failed, or for places that are no whole numbers from 0. */
  constructor({ failed }: BatchFailures, reason = 'Some messages of the batch have failed.') {
    super(reason);
    this.name = 'BatchFailedException';
    this.failed = failed instanceof Map ? failed : new Map(this.#each(failed as Iterable<number>));
    assertPlaces([...this.failed.keys()]);
  }

  #each(places: Iterable<number>): [number, unknown][] {
    return [...places].map((place) => [place, this]);
  }

  /** Nest hands the error itself on, not what is in it. */
  override getError(): this {
    return this;
  }
}

function assertPlaces(places: readonly unknown[]): void {
  if (places.length > 0 && places.every((place) => Number.isSafeInteger(place) && Number(place) >= 0)) return;
  throw new QueueOptionsException(
    `BatchFailedException got ${places.length === 0 ? 'no failed message' : `the places ${places.map(String).join(', ')}`}.`,
    'Give { failed: [0, 2] } or a Map of those to their errors; when nothing has failed, return.',
  );
}
