import type { FileSystem } from './file-system.js';
import { type IndexedSegment, indexFileName, removeIfThere, writeIndexFile } from './index-file.js';
import type { SegmentIndex } from './segment-index.js';

export interface IndexWriterInit {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /** An index is missing, or too many: the next opening makes it anew, or takes it away. */
  readonly onTrouble: (what: string, cause: unknown) => void;
}

/** The indexes of sealed segments, and who knows which are wanted. */
export interface SealedIndexes {
  readonly indexOf: (segment: number) => SegmentIndex | undefined;
  /** It is in its file, or is not wanted. */
  readonly forgetIndex: (segment: number) => void;
  /** Whether the segment is there to stay. */
  readonly isKept: (segment: number) => boolean;
}

/** Writes the indexes of segments to their files, one after the other, without anybody waiting for it (J9). */
export class IndexWriter {
  readonly #init: IndexWriterInit;
  #writing: Promise<void> = Promise.resolve();

  constructor(init: IndexWriterInit) {
    this.#init = init;
  }

  /** In turn. */
  write(segment: number, of: IndexedSegment, { indexOf, forgetIndex, isKept }: SealedIndexes): void {
    const before = this.#writing;
    this.#writing = (async () => {
      await before;
      const index = indexOf(segment);
      if (index !== undefined && isKept(segment)) await this.writeNow(segment, index, of);
      forgetIndex(segment);
      if (!isKept(segment)) await this.#remove(segment);
    })();
  }

  /** An index that can't be written is made anew at the next opening. */
  async writeNow(segment: number, index: SegmentIndex, of: IndexedSegment): Promise<void> {
    const { fileSystem, directory, onTrouble } = this.#init;
    try {
      await writeIndexFile(fileSystem, directory, { number: segment, index, of });
    } catch (error) {
      onTrouble(`The index of segment ${segment} can't be written`, error);
    }
  }

  /** Of a segment that went while its index was written. */
  async #remove(segment: number): Promise<void> {
    const { fileSystem, directory, onTrouble } = this.#init;
    try {
      await removeIfThere(fileSystem, `${directory}/${indexFileName(segment)}`);
    } catch (error) {
      onTrouble(`The index of segment ${segment}, which is gone, can't be removed`, error);
    }
  }

  /** Resolves when all of them are written. */
  idle(): Promise<void> {
    return this.#writing;
  }
}
