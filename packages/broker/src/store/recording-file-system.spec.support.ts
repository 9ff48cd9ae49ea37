import type { File, FileSystem } from './file-system.js';
import type { Moment } from './journal-model.spec.support.js';
import type { SimulatedFileSystem } from './simulated-file-system.js';

/** One write as it was issued, and all the files just before it. */
export interface RecordedWrite {
  readonly before: SimulatedFileSystem;
  readonly path: string;
  readonly position: number;
  readonly bytes: Buffer;
  readonly moment: Moment;
}

/** Passes everything on, and remembers each write, so that a test can stop the machine inside any of them. */
export class RecordingFileSystem implements FileSystem {
  readonly writes: RecordedWrite[] = [];
  moment: () => Moment = () => ({ durable: 0, begun: 0 });

  constructor(private readonly inner: SimulatedFileSystem) {}

  makeDirectory(path: string): Promise<void> {
    return this.inner.makeDirectory(path);
  }

  list(path: string): Promise<string[]> {
    return this.inner.list(path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.inner.rename(from, to);
  }

  link(path: string, second: string): Promise<void> {
    return this.inner.link(path, second);
  }

  remove(path: string): Promise<void> {
    return this.inner.remove(path);
  }

  syncDirectory(path: string): Promise<void> {
    return this.inner.syncDirectory(path);
  }

  freeBytes(path: string): Promise<number> {
    return this.inner.freeBytes(path);
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    const file = await this.inner.open(path, mode);
    const record = (bytes: Uint8Array, position: number): void => {
      const before = this.inner.afterKill();
      this.writes.push({ before, path, position, bytes: Buffer.from(bytes), moment: this.moment() });
    };
    return {
      write(bytes, position) {
        record(bytes, position);
        return file.write(bytes, position);
      },
      writeDurably(bytes, position) {
        record(bytes, position);
        return file.writeDurably(bytes, position);
      },
      read: (into, position) => file.read(into, position),
      sync: () => file.sync(),
      size: () => file.size(),
      truncate: (size) => file.truncate(size),
      close: () => file.close(),
    };
  }
}

/** The files when the machine stopped after `count` bytes of the write. */
export async function stoppedInside(write: RecordedWrite, count: number): Promise<SimulatedFileSystem> {
  const files = write.before.afterKill();
  const file = await files.open(write.path, 'write');
  if (count > 0) await file.write(write.bytes.subarray(0, count), write.position);
  await file.close();
  return files;
}
