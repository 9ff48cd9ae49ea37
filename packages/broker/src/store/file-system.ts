/**
 * The only way to the disk. Paths are absolute or relative as the platform has them. Every promise rejects with the
 * system's error (`code` such as ENOENT, ENOSPC); nothing is retried here.
 */
export interface FileSystem {
  /** Makes the directory and its parents. Resolves also when it is there; rejects with ENOTDIR or EEXIST when a file is. */
  makeDirectory(path: string): Promise<void>;
  /** The names in a directory, sorted. */
  list(path: string): Promise<string[]>;
  /** Opens for reading and writing; `create` makes an empty file and rejects with EEXIST when there is one. */
  open(path: string, mode: 'create' | 'write' | 'read'): Promise<File>;
  /** Of a file, over another one; or of a directory, over an empty one. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name; rejects with EEXIST when that is taken, and where the disk knows no such thing. */
  link(path: string, second: string): Promise<void>;
  /** Survives a power cut after the next {@link syncDirectory}. */
  remove(path: string): Promise<void>;
  /** Resolves when names made, renamed and removed in this directory before the call survive a power cut. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that this user may still write on the disk of `path`. */
  freeBytes(path: string): Promise<number>;
}

/** An open file. A write or sync that failed says nothing of what is on the disk. */
export interface File {
  /** Resolves when all bytes are with the operating system: they survive a killed process, not a power cut. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** {@link write}, then {@link sync}, in one: resolves when these bytes survive a power cut. */
  writeDurably(bytes: Uint8Array, position: number): Promise<void>;
  /** Fills `into` from `position`; resolves with the bytes read, which are fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** fdatasync: resolves when every byte written before the call survives a power cut. */
  sync(): Promise<void>;
  /** Bytes. */
  size(): Promise<number>;
  /** Survives a power cut after the next {@link sync}. */
  truncate(size: number): Promise<void>;
  /** The file can't be used any more. Syncs nothing. */
  close(): Promise<void>;
}
