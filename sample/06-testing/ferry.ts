import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';

export interface Hold {
  readonly id: string;
  readonly seat: number;
  readonly passenger: string;
}

export interface Payment {
  /** The bank's: the same each time it tells of one payment. */
  readonly reference: string;
  readonly hold: Hold;
}

export interface Ticket {
  readonly seat: number;
  readonly passenger: string;
}

const SEATS = 2;

/** The seats of a small ferry; stands for a database. */
@Injectable()
export class Seats {
  readonly #taken = new Map<number, { readonly holdId: string; isSold: boolean }>();

  /** The first seat that is free; undefined when there is none. */
  hold(passenger: string): Hold | undefined {
    for (let seat = 1; seat <= SEATS; seat++) {
      if (this.#taken.has(seat)) continue;
      const id = randomUUID();
      this.#taken.set(seat, { holdId: id, isSold: false });
      return { id, seat, passenger };
    }
    return undefined;
  }

  /** Free again, if it is not sold. */
  release({ id, seat }: Hold): void {
    const taken = this.#taken.get(seat);
    if (taken?.holdId === id && !taken.isSold) this.#taken.delete(seat);
  }

  /** Idempotent. False when the seat is somebody else's by now. */
  sell({ id, seat }: Hold): boolean {
    const holder = this.#taken.get(seat)?.holdId ?? id;
    if (holder === id) this.#taken.set(seat, { holdId: id, isSold: true });
    return holder === id;
  }
}

/** What is not ours, and not always there: a printer, the telephone network, the harbour's office. */
export abstract class Outside {
  abstract print(ticket: Ticket): Promise<void>;
  abstract text(passenger: string, text: string): Promise<void>;
  abstract report(line: string): Promise<void>;
}
