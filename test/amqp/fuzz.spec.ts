import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Server } from '@nestmq/broker';
import { fuzz } from './fuzzing.js';
import { startServer } from './server.js';

const FRAMES = 20_000;
const SEED = 20_260_101;

let server: Server;
const failures: Error[] = [];

beforeAll(async () => {
  server = await startServer({ onFailure: (error) => failures.push(error) });
});
afterAll(() => server.close());

it(`${FRAMES} frames of sessions gone wrong: nothing fails, others are undisturbed, memory is given back (seed ${SEED})`, async () => {
  const before = process.memoryUsage().arrayBuffers;
  const { frames } = await fuzz(server.port, { frames: FRAMES, seed: SEED });
  expect(frames).toBeGreaterThanOrEqual(FRAMES);
  expect(failures).toEqual([]);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
});
