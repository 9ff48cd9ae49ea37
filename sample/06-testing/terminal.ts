import { Injectable } from '@nestjs/common';
import { Outside, type Ticket } from './ferry.js';

/** All that is outside, on a terminal. */
@Injectable()
export class Terminal extends Outside {
  readonly lines: string[] = [];

  async print({ seat, passenger }: Ticket): Promise<void> {
    this.#add(`printer: seat ${seat} for ${passenger}`);
  }

  async text(passenger: string, text: string): Promise<void> {
    this.#add(`text to ${passenger}: ${text}`);
  }

  async report(line: string): Promise<void> {
    this.#add(`harbour: ${line}`);
  }

  #add(line: string): void {
    this.lines.push(line);
    console.log(line);
  }
}
