import type { LostMessages, Problem } from '../tools/problems.js';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function count(number: number, of: string): string {
  return `${number.toLocaleString('en')} ${of}${number === 1 ? '' : 's'}`;
}

export function problemText({ file, offset, length, why, lost }: Problem): string {
  const where =
    length > 0 ? `${file}, offset ${offset}, ${count(length, 'byte')}` : `${file}, offset ${offset}`;
  return `${where}: ${why}. ${lostText(lost)}`;
}

function lostText(lost: Problem['lost']): string {
  if (lost === 'unknown') return 'No index tells what was there.';
  if (lost.length === 0) return 'No message in a queue is touched.';
  return `Lost: ${lost.map(messagesText).join(', ')}.`;
}

export function messagesText({ queue, messages }: LostMessages): string {
  return `${count(messages, 'message')} of ${queue}`;
}
