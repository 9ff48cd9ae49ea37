import type { EnginePhase } from './engine-plans.js';
import { Life } from './life.js';
import { type Verdict, verdictOf } from './verdict.js';

export interface EngineResult extends Verdict {
  readonly kills: number;
}

export type EngineMode = 'work' | 'publish' | 'consume';

/** Numbers never repeat between lives: each life has a million of its own. */
const NUMBERS_PER_LIFE = 1_000_000;

/** The lives of one phase's worker, one after the other, on the same directory. */
export class EngineLives {
  #lives = 0;
  #kills = 0;

  readonly #ledger: string;

  constructor(
    private readonly phase: EnginePhase,
    /** Where the ledger is. */
    directory: string,
    /** The broker's own. */
    readonly store: string = `${directory}/mq`,
  ) {
    this.#ledger = `${directory}/ledger.txt`;
  }

  get kills(): number {
    return this.#kills;
  }

  /** One life, killed when `moment` resolves. */
  async killed(mode: EngineMode, moment: (life: Life) => Promise<unknown>): Promise<Life> {
    const first = String(this.#lives++ * NUMBERS_PER_LIFE);
    const life = new Life('engine-worker', [this.phase, mode, this.store, this.#ledger, first]);
    try {
      await moment(life);
    } catch (error) {
      await life.abandon();
      throw error;
    }
    await life.kill();
    this.#kills++;
    return life;
  }

  /** One life that handles what is left, and ends by itself. */
  async drained(): Promise<void> {
    await new Life('engine-worker', [this.phase, 'drain', this.store, this.#ledger]).finished();
  }

  /** Handles what is left, and looks once more whether anything comes back. */
  async verdict(): Promise<Verdict> {
    await this.drained();
    await this.drained();
    return verdictOf(this.#ledger);
  }
}
