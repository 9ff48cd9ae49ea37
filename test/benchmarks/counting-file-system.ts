import { type FileSystem, nodeFileSystem } from '@nestmq/broker';

/** Bytes that were written to files, by what the system was asked to write. */
export interface Written {
  bytes: number;
}

/** The system's files, with every byte written to any of them counted in `written`. */
export function counting(written: Written): FileSystem {
  return {
    ...nodeFileSystem,
    async open(path, mode) {
      const file = await nodeFileSystem.open(path, mode);
      for (const method of ['write', 'writeDurably'] as const) {
        const write = file[method].bind(file);
        file[method] = (bytes, position) => {
          written.bytes += bytes.length;
          return write(bytes, position);
        };
      }
      return file;
    },
  };
}
