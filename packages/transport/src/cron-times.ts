import { Cron } from 'croner';

/** Cron's unit. Milliseconds. */
const SECOND_MS = 1000;

/**
 * The times of a cron expression in a time zone. What they mean is croner's: five fields, or six with seconds first; days of
 * the month and of the week are alternatives, as in cron. On the day when the clock goes forward, a fixed time of day that
 * does not exist comes at the first that does; when it goes back, a time of day that is there twice comes once. Times that
 * repeat within the day (a `*`, a step) simply go on.
 */
export class CronTimes {
  readonly #cron: Cron;

  /** See {@link timesOf}. */
  constructor(cron: Cron) {
    this.#cron = cron;
  }

  /** The first time after this one; undefined when there is none. Milliseconds since the epoch. */
  after(ms: number): number | undefined {
    return this.#cron.nextRun(new Date(ms))?.getTime();
  }

  /** The last time after `afterMs` and up to `untilMs`. Takes few steps, however many times there are. */
  last(afterMs: number, untilMs: number): number | undefined {
    let last = this.after(afterMs);
    if (last === undefined || last > untilMs) return undefined;
    // No time is in (high, untilMs].
    let high = untilMs;
    while (high - last >= SECOND_MS) {
      const middle: number = last + Math.ceil((high - last) / 2);
      const next = this.after(middle - 1);
      if (next === undefined || next > untilMs) high = middle - 1;
      else last = next;
    }
    return last;
  }
}

/** Throws Error, saying what is wrong: no cron expression, one that never comes, an unknown time zone. */
export function timesOf(cron: string, timeZone: string): CronTimes {
  // The library would take a date too, as a time that comes once.
  if (cron.includes(':')) throw new Error('it is a date');
  const times = new CronTimes(new Cron(cron, { paused: true, timezone: timeZone, mode: '5-or-6-parts' }));
  if (times.after(0) === undefined) throw new Error('it never comes');
  return times;
}
