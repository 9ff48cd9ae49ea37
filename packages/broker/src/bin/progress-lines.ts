import { systemClock } from '../clock.js';
import type { Progress } from '../tools/progress.js';
import type { Terminal } from './command.js';
import { bytesText } from './format.js';

const EVERY_MS = 1000;

/** Says how far a tool is, once a second: of short work nothing. */
export function progressLines(terminal: Terminal): (progress: Progress) => void {
  let saidAt = systemClock.now();
  return ({ doing, bytesDone, bytesTotal }) => {
    if (systemClock.now() - saidAt < EVERY_MS) return;
    saidAt = systemClock.now();
    const percent = Math.floor((100 * bytesDone) / Math.max(1, bytesTotal));
    terminal.err(`${doing}: ${percent} % of ${bytesText(bytesTotal)}`);
  };
}
