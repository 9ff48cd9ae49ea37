#!/usr/bin/env node
import { type Io, serve, SERVE_USAGE } from './serve.js';

const COMMANDS: ReadonlyMap<string, (args: string[], io: Io) => Promise<number>> = new Map([
  ['serve', serve],
]);

const [name = '', ...args] = process.argv.slice(2);
const command = COMMANDS.get(name);
const ending = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ending.abort());

const io: Io = {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  signal: ending.signal,
};
if (command === undefined) {
  io.err(`usage: ${SERVE_USAGE}`);
  process.exitCode = 2;
} else process.exitCode = await command(args, io);
