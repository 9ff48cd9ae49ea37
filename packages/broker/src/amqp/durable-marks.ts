import { LIMITS } from '../limits.js';

/** A mark in the journal's stream is asked for so often. */
const MARKS_MAX = 8;
const MARK_BYTES: number = LIMITS.undurableBytesMax / MARKS_MAX;

/** How much of what a client has published is not durable yet: counted by marks in the journal's stream that are not passed. */
export class DurableMarks {
  #sinceMarkBytes = 0;
  #count = 0;

  constructor(
    /** Resolves, or rejects, when everything done before the call is durable, or known not to be. */
    private readonly durable: () => Promise<void>,
    /** There is less of it. */
    private readonly onPassed: () => void,
  ) {}

  /** Nothing more should be read. */
  get isFull(): boolean {
    return this.#count >= MARKS_MAX;
  }

  published(bytes: number): void {
    this.#sinceMarkBytes += bytes;
    if (this.#sinceMarkBytes < MARK_BYTES) return;
    this.#sinceMarkBytes = 0;
    this.#count++;
    const passed = (): void => {
      this.#count--;
      this.onPassed();
    };
    // A store that failed is told to publishers by their confirms.
    this.durable().then(passed, passed);
  }
}
