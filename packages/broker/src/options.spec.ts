import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { type BrokerOptions, normaliseOptions } from './options.js';
import { SimulatedFileSystem, systemError } from './store/simulated-file-system.js';

describe('the options of a broker', () => {
  it.each<[string, object]>([
    ["'dir' is not an option of the broker. Options are: directory,", { dir: 'x' }],
    ["'directory' is ''. Give a path as a non-empty string.", { directory: '' }],
    ["'directory' is 5 (number).", { directory: 5 }],
    [
      "'segmentBytesMax' is 100 (number). Give a whole number of bytes from 65536 to 536870912.",
      { segmentBytesMax: 100 },
    ],
    ["'segmentBytesMax' is '1 MiB'.", { segmentBytesMax: '1 MiB' }],
    ["'store' is 5 (number). Give a function that makes a store", { store: 5 }],
    ["There is 'store', and 'directory' as well. Leave 'directory' out", { store: () => {}, directory: 'x' }],
    ["There is 'store', and 'cacheBytesMax' as well.", { store: () => {}, cacheBytesMax: 0 }],
    ["'cacheBytesMax' is -1 (number).", { cacheBytesMax: -1 }],
    ["'settlementDelayMs' is 0.5 (number).", { settlementDelayMs: 0.5 }],
    [
      "'settlementDelayMs' is 1001 (number). Give a whole number of milliseconds from 0 to 1000.",
      { settlementDelayMs: 1001 },
    ],
  ])('that can not be meant are refused: %s', (message, options) => {
    expect(() => normaliseOptions(options as BrokerOptions)).toThrow(message);
    expect(() => normaliseOptions(options as BrokerOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
  });

  it('keep a chosen 0', () => {
    expect(normaliseOptions({ cacheBytesMax: 0, settlementDelayMs: 0 })).toMatchObject({
      cacheBytesMax: 0,
      settlementDelayMs: 0,
    });
  });
});

describe('a directory that can not be used', () => {
  it.each([
    ['EACCES', 'permission denied'],
    ['EROFS', 'the file system is read-only'],
    ['ENOSPC', 'the disk is full'],
  ])('is refused with cause and cure: %s', async (code, reason) => {
    const fileSystem = new SimulatedFileSystem();
    fileSystem.fault = (operation, path) =>
      operation === 'makeDirectory' || operation === 'open' ? systemError(code, path) : undefined;
    await expect(openBroker({ directory: '/data', fileSystem })).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      message: `The directory '/data' can't be made: ${reason} (${code}). Give a directory that this user may create, read and write.`,
    });
  });

  it('is refused with cause and cure also when it can not be locked, and let go of again', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'nestmq-options-'));
    try {
      mkdirSync(join(directory, 'broker.sock', 'in-the-way'), { recursive: true });
      await expect(openBroker({ directory })).rejects.toMatchObject({
        code: 'DIRECTORY_UNUSABLE',
        message: expect.stringContaining("can't be locked"),
      });
      rmSync(join(directory, 'broker.sock'), { recursive: true });
      expect(readdirSync(directory)).toEqual([]);
      await (await openBroker({ directory })).close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.each([['file'], ['file/below'], ['file/below/it']])(
    'is refused when a file is in its way: %s',
    async (name) => {
      const directory = mkdtempSync(join(tmpdir(), 'nestmq-options-'));
      try {
        writeFileSync(join(directory, 'file'), '');
        await expect(openBroker({ directory: join(directory, name) })).rejects.toMatchObject({
          code: 'DIRECTORY_UNUSABLE',
          cure: 'Give a directory that this user may create, read and write.',
        });
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  );

  it('is refused with cause and cure also when only its files can not be opened', async () => {
    const fileSystem = new SimulatedFileSystem();
    await (await openBroker({ directory: '/data', fileSystem })).close();
    fileSystem.fault = (operation, path) => (operation === 'open' ? systemError('EACCES', path) : undefined);
    await expect(openBroker({ directory: '/data', fileSystem })).rejects.toThrow(
      "can't be used: permission denied (EACCES)",
    );
  });
});
