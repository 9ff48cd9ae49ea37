/** How far a tool is: told often, at points where it costs nothing. */
export interface Progress {
  /** What it does now: 'reading 0000000003.segment'. */
  readonly doing: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** What reading or copying a whole journal can be given. */
export interface ToolOptions {
  /** @default nobody is told */
  readonly onProgress?: (progress: Progress) => void;
}
