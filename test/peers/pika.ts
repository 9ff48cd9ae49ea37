import { hasDebianPackages, succeeds } from './debian.js';

/** Debian's python: pika is a package of its. */
export const PYTHON = '/usr/bin/python3';

/** Debian's python with pika; undefined where it is not there, see {@link hasDebianPackages}. */
export function pythonWithPika(): string | undefined {
  const hasPika = hasDebianPackages(['python3-pika'], () => succeeds(PYTHON, '-c', 'import pika'));
  return hasPika ? PYTHON : undefined;
}
