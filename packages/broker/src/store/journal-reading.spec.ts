import { describe, expect, it } from '@jest/globals';
import { GatedFileSystem } from './gated-file-system.spec.support.js';
import { durable, journalOn, persistent } from './journal-model.spec.support.js';
import type { Appended } from './message-store.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

/** The lengths of what is read from any file from now on, as they come. */
function countReads(files: SimulatedFileSystem): number[] {
  const reads: number[] = [];
  const open = files.open.bind(files);
  files.open = async (...args) => {
    const file = await open(...args);
    const read = file.read.bind(file);
    file.read = (into, position) => {
      reads.push(into.length);
      return read(into, position);
    };
    return file;
  };
  return reads;
}

describe('reading messages back', () => {
  it('the cache keeps to its budget, and what left it is read from the disk, in order', async () => {
    const store = journalOn(new SimulatedFileSystem(), { cacheBytesMax: 5000 });
    await store.open();
    const bodies = Array.from({ length: 60 }, (_, i) => Buffer.alloc((i * 97) % 900, i));
    const published = bodies.map((body) => store.publish(persistent(body), [1], 0));
    await durable(store);
    const positions = published.map(({ position }) => position);
    const inMemory = positions.filter((position) => store.peek(position) !== undefined);
    expect(inMemory.length).toBeGreaterThan(2);
    expect(inMemory.length).toBeLessThan(15);
    expect((await store.read(positions)).map(({ body }) => body)).toEqual(bodies);
    await store.close();
  });

  it('what is not on the disk yet stays in memory, whatever the budget', async () => {
    const files = new GatedFileSystem(new SimulatedFileSystem());
    const store = journalOn(files, { cacheBytesMax: 0 });
    await store.open();
    const write = files.hold('write');
    const { position } = store.publish(persistent('1'), [1], 0);
    await write.reached;
    expect((await store.read([position]))[0]?.body.toString()).toBe('1');
    write.open();
    await durable(store);
    expect(store.peek(position)).toBeUndefined();
    await store.close();
  });

  it('a segment that is open is read at once, while what asked for it goes on', async () => {
    const { store, files, positions } = await backlog(1);
    await store.read(positions);
    files.log.length = 0;
    const again = store.read(positions);
    expect(files.count('read', '.segment')).toBe(1);
    expect((await again)[0]?.body.equals(Buffer.alloc(6000, 0))).toBe(true);
    await store.close();
  });

  it('many segments are read at once, though few are kept open', async () => {
    const { store, files, positions } = await backlog(60);
    const read = files.hold('read');
    const slow = store.read(positions.slice(0, 1));
    await read.reached;
    const others = await Promise.all(positions.slice(1).map((position) => store.read([position])));
    expect(others.map(([message]) => message?.body[0])).toEqual(positions.slice(1).map((_, i) => i + 1));
    read.open();
    expect((await slow)[0]?.body.equals(Buffer.alloc(6000, 0))).toBe(true);
    await store.close();
  });

  it('a message that is far from the next one does not keep what lies between in memory', async () => {
    const store = journalOn(new SimulatedFileSystem(), { cacheBytesMax: 0, segmentBytesMax: 1024 * 1024 });
    await store.open();
    const sparse: number[] = [];
    for (let i = 0; i < 20; i++) {
      sparse.push(store.publish(persistent(`small ${i}`), [1], 0).position);
      store.publish(persistent(Buffer.alloc(20_000)), [2], 0);
    }
    await durable(store);
    const messages = await store.read(sparse);
    expect(messages.map(({ body }) => body.toString())).toEqual(sparse.map((_, i) => `small ${i}`));
    // The properties' bytes are still there, and do not keep it either.
    expect(messages.filter(({ propertiesBytes }) => propertiesBytes === undefined)).toEqual([]);
    const kept = new Set(
      messages.flatMap(({ body, propertiesBytes }) => [body.buffer, propertiesBytes?.buffer ?? body.buffer]),
    );
    expect([...kept].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(40_000);
    await store.close();
  });

  it('neighbours of one length come in one read, however long they are', async () => {
    const files = new SimulatedFileSystem();
    const reads = countReads(files);
    const store = journalOn(files, { cacheBytesMax: 0, segmentBytesMax: 4 * 1024 * 1024 });
    await store.open();
    for (const bodyBytes of [100, 5000, 60_000]) {
      const positions = Array.from(
        { length: 10 },
        () => store.publish(persistent(Buffer.alloc(bodyBytes)), [1], 0).position,
      );
      await durable(store);
      reads.length = 0;
      expect((await store.read(positions)).map(({ body }) => body.length)).toEqual(
        positions.map(() => bodyBytes),
      );
      expect(reads.length).toBe(1);
    }
    await store.close();
  });

  it('no more is read at once than was asked for in bytes, but one message at least', async () => {
    const { store, positions } = await backlog(10);
    expect((await store.read(positions, 1)).length).toBe(1);
    expect((await store.read(positions, 12_001)).length).toBe(3);
    expect((await store.read(positions)).length).toBe(10);
    await store.close();
  });

  it('closing waits for reads that are under way', async () => {
    const { store, files, positions } = await backlog(1);
    const read = files.hold('read');
    const reading = store.read(positions);
    await read.reached;
    const closing = store.close();
    read.open();
    expect((await reading).length).toBe(1);
    await closing;
  });

  it('a record that was damaged since opening is refused, with file and offset', async () => {
    const disk = new SimulatedFileSystem();
    const store = journalOn(disk, { cacheBytesMax: 0 });
    await store.open();
    const { position } = store.publish(persistent('body'), [1], 0);
    await durable(store);
    const path = disk.paths().find((one) => one.endsWith('.segment')) ?? '';
    const bytes = disk.readNow(path);
    bytes[bytes.length - 1] = 0;
    disk.replaceNow(path, bytes);
    await expect(store.read([position])).rejects.toMatchObject({
      code: 'JOURNAL_DAMAGED',
      message: expect.stringMatching(/0000000001\.segment can't be read at offset 68: the checksum/),
    });
    await store.close();
  });
});

async function backlog(count: number): Promise<{
  store: ReturnType<typeof journalOn>;
  files: GatedFileSystem;
  positions: number[];
}> {
  const files = new GatedFileSystem(new SimulatedFileSystem());
  const store = journalOn(files, { cacheBytesMax: 0 });
  await store.open();
  const published: Appended[] = [];
  for (let i = 0; i < count; i++) published.push(store.publish(persistent(Buffer.alloc(6000, i)), [1], 0));
  await durable(store);
  return { store, files, positions: published.map(({ position }) => position) };
}
