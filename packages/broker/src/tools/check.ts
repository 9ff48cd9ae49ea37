import { segmentOf } from '../store/record.js';
import type { FileSystem } from '../store/file-system.js';
import { viewJournal } from './journal-view.js';
import { type Problem, orphaned, problemsOf } from './problems.js';
import type { ToolOptions } from './progress.js';
import { type QueueState, queueStateOf } from './queue-state.js';
import { type IndexState, type Survey, surveyJournal } from './survey.js';

/** What {@link checkJournal} found. Sizes are bytes. */
export interface CheckReport {
  readonly directory: string;
  /** Damaged: something was durable and does not read, or is gone, so that the broker refuses to open or would lose it. */
  readonly verdict: 'sound' | 'damaged';
  readonly bytes: number;
  readonly records: number;
  /** Messages in queues, one for each queue that it is in. */
  readonly messages: number;
  readonly segments: readonly CheckedSegment[];
  readonly problems: readonly Problem[];
  /** What is worth a word and is not damage. */
  readonly notes: readonly string[];
}

/** One segment as {@link checkJournal} read it. Sizes are bytes. */
export interface CheckedSegment {
  readonly file: string;
  readonly bytes: number;
  readonly records: number;
  /** Messages that its records put into queues, settled or not. */
  readonly messages: number;
  /** Those that are in queues. */
  readonly live: number;
  readonly index: IndexState;
}

/**
 * Reads all of the journal in a broker's directory and says whether it is whole. Changes nothing, takes no lock, and may
 * run beside the broker. Rejects with DIRECTORY_UNUSABLE, JOURNAL_VERSION, or the system's error.
 */
export async function checkJournal(
  fileSystem: FileSystem,
  directory: string,
  options: ToolOptions = {},
): Promise<CheckReport> {
  const view = await viewJournal(fileSystem, directory);
  try {
    const survey = await surveyJournal(directory, view, options);
    return reportOf(survey, queueStateOf(survey));
  } finally {
    await view.close();
  }
}

export function reportOf(survey: Survey, state: QueueState): CheckReport {
  const problems = problemsOf(survey, state);
  const live = liveBySegment(state);
  const segments = survey.segments.map(({ name, number, fileBytes, records, index, indexState }) => ({
    file: name,
    bytes: fileBytes ?? 0,
    records,
    messages: index.messages,
    live: live.get(number) ?? 0,
    index: indexState,
  }));
  return {
    directory: survey.directory,
    verdict: problems.length === 0 ? 'sound' : 'damaged',
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    records: segments.reduce((sum, { records }) => sum + records, 0),
    messages: [...state.entries.values()].reduce((sum, { length }) => sum + length, 0),
    segments,
    problems,
    notes: notesOf(survey, state),
  };
}

/** How many messages in queues have their records in which segment. */
export function liveBySegment({ entries }: Pick<QueueState, 'entries'>): Map<number, number> {
  const live = new Map<number, number>();
  for (const { positions } of entries.values()) {
    for (const position of positions) {
      const segment = segmentOf(position);
      live.set(segment, (live.get(segment) ?? 0) + 1);
    }
  }
  return live;
}

function notesOf(survey: Survey, state: QueueState): string[] {
  const notes: string[] = [];
  for (const { name, tornBytes, gapBytes, indexState } of survey.segments) {
    if (tornBytes > 0) {
      notes.push(
        `${name} ends with ${tornBytes} bytes that are no whole record: a running broker is writing them, or a crash has left them. Nobody was promised them.`,
      );
    }
    if (gapBytes > 0) notes.push(`${name} has gaps of ${gapBytes} bytes, which a repair has given up.`);
    if (indexState === 'missing' || indexState === 'stale') {
      notes.push(
        `${name} has ${indexState === 'missing' ? 'no' : 'no usable'} index: the next start makes one.`,
      );
    }
  }
  if (survey.unfinished !== undefined) {
    notes.push(`${survey.unfinished} was being made when the process ended, and holds nothing.`);
  }
  for (const { queue, messages } of orphaned(state)) {
    notes.push(`${messages} messages are in ${queue}: it was deleted, and the next start discards them.`);
  }
  return notes;
}
