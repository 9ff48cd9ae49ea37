import type { Clock, Timer } from '../clock.js';

export interface HeartbeatInit {
  readonly clock: Clock;
  /** What was agreed on; 0 is no heartbeats. */
  readonly seconds: number;
  readonly send: () => void;
  /** Nothing came for two intervals. */
  readonly onSilence: () => void;
}

const SILENT_INTERVALS_MAX = 2;

/** Sends a sign of life twice an interval, and notices when none comes (AMQP 0-9-1, section 4.2.7). */
export class Heartbeat {
  readonly #init: HeartbeatInit;
  #silentIntervals = 0;
  #sending: Timer | undefined;
  #listening: Timer | undefined;

  constructor(init: HeartbeatInit) {
    this.#init = init;
    if (init.seconds === 0) return;
    this.#send();
    this.#listen();
  }

  /** Any byte is a sign of life. */
  heard(): void {
    this.#silentIntervals = 0;
  }

  #send(): void {
    this.#sending = this.#init.clock.setTimer(this.#init.seconds * 500, () => {
      this.#init.send();
      this.#send();
    });
  }

  #listen(): void {
    this.#listening = this.#init.clock.setTimer(this.#init.seconds * 1000, () => {
      if (++this.#silentIntervals > SILENT_INTERVALS_MAX) return this.#init.onSilence();
      return this.#listen();
    });
  }

  stop(): void {
    this.#sending?.cancel();
    this.#listening?.cancel();
  }
}
