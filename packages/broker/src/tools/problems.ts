import { positionOf, segmentOf } from '../store/record.js';
import { SEGMENT_HEADER_BYTES, segmentFileName } from '../store/segment.js';
import type { MessageInQueue, QueueState } from './queue-state.js';
import type { Survey, SurveyedSegment } from './survey.js';

/** Something in the journal that is not as it was written. */
export interface Problem {
  readonly file: string;
  readonly offset: number;
  /** Up to where the file can be read again. Bytes. */
  readonly length: number;
  readonly why: string;
  /** Messages that were in queues and can't be read any more. Unknown when no index tells what was there. */
  readonly lost: readonly LostMessages[] | 'unknown';
}

/** How many messages of a queue a problem has cost. */
export interface LostMessages {
  readonly queue: string;
  readonly messages: number;
}

/** All that is wrong: nothing of it is what a crash leaves. */
export function problemsOf(survey: Survey, state: QueueState): Problem[] {
  return [
    ...survey.missingFirst.map((number) => gone(segmentFileName(number))),
    ...survey.segments.flatMap((segment) => problemsOfSegment(segment, state)),
    ...lostEnd(survey),
    ...problemsOfDefinitions(survey, state),
  ];
}

function gone(file: string): Problem {
  return { file, offset: 0, length: 0, why: 'it is missing', lost: 'unknown' };
}

function problemsOfSegment(segment: SurveyedSegment, state: QueueState): Problem[] {
  const { name: file, headerProblem: why, damage, fileBytes, end, sealedEnd } = segment;
  const lost = (from: number, to: number): Problem['lost'] => lostIn(segment, state, from, to);
  if (why !== undefined && (fileBytes === undefined || segment.records + damage.length <= 1)) {
    return [{ file, offset: 0, length: end, why, lost: lost(0, end) }];
  }
  const problems: Problem[] = [];
  if (why !== undefined) problems.push({ file, offset: 0, length: SEGMENT_HEADER_BYTES, why, lost: [] });
  for (const { from, to, why: reason } of damage) {
    problems.push({ file, offset: from, length: to - from, why: reason, lost: lost(from, to) });
  }
  if (sealedEnd !== undefined && (fileBytes ?? 0) > sealedEnd) {
    const more = (fileBytes ?? 0) - sealedEnd;
    const reason = `it has ${fileBytes} bytes, but had ${sealedEnd} when the next segment was made`;
    problems.push({ file, offset: sealedEnd, length: more, why: reason, lost: [] });
  }
  return [...problems, ...wrongIndex(segment), ...withoutBodies(segment, state)];
}

function wrongIndex({ name, indexState }: SurveyedSegment): Problem[] {
  if (indexState !== 'wrong') return [];
  const file = name.replace('.segment', '.index');
  return [{ file, offset: 0, length: 0, why: "it is not the index of its segment's records", lost: [] }];
}

function withoutBodies({ number, name }: SurveyedSegment, state: QueueState): Problem[] {
  const here = state.bodiless.filter(({ position }) => segmentOf(position) === number);
  const [first] = here;
  if (first === undefined) return [];
  const offset = first.position - positionOf(number, 0);
  const why = 'messages were moved, and the records with their bodies do not read';
  return [{ file: name, offset, length: 0, why, lost: byQueue(here, state) }];
}

function lostEnd({ segments, lostEndBytes }: Survey): Problem[] {
  const last = segments.at(-1);
  if (last === undefined || lostEndBytes === 0) return [];
  const why = `it ends here, but was durable up to offset ${last.end + lostEndBytes}`;
  return [{ file: last.name, offset: last.end, length: lostEndBytes, why, lost: 'unknown' }];
}

function problemsOfDefinitions(survey: Survey, state: QueueState): Problem[] {
  const { snapshotProblem: why, view } = survey;
  const file = 'definitions.json';
  if (why !== undefined) {
    return [{ file, offset: 0, length: view.definitions?.length ?? 0, why, lost: 'unknown' }];
  }
  if (!misses(survey, state)) return [];
  const reason = 'it is missing, and messages are in queues that no definition names';
  return [{ file, offset: 0, length: 0, why: reason, lost: orphaned(state) }];
}

/** Whether there must have been a snapshot, since segments are gone, and queues are not known. */
export function misses({ view, segments }: Survey, state: QueueState): boolean {
  return view.definitions === undefined && (segments[0]?.number ?? 1) > 1 && orphans(state).length > 0;
}

/** Queues with messages that no definition names: deleted, or their definition is lost. */
export function orphans({ entries, names }: QueueState): number[] {
  return [...entries.keys()].filter((id) => !names.has(id));
}

function lostIn(segment: SurveyedSegment, state: QueueState, from: number, to: number): Problem['lost'] {
  if (segment.stored === undefined) return 'unknown';
  const [start, end] = [positionOf(segment.number, from), positionOf(segment.number, to)];
  return byQueue(
    state.lost.filter(({ position }) => position >= start && position < end),
    state,
  );
}

/** What is in queues that no definition names. */
export function orphaned(state: QueueState): LostMessages[] {
  return orphans(state).map((id) => ({
    queue: queueName(id, state.names),
    messages: state.entries.get(id)?.length ?? 0,
  }));
}

export function byQueue(
  messages: readonly Pick<MessageInQueue, 'queueId'>[],
  { names }: Pick<QueueState, 'names'>,
): LostMessages[] {
  const counts = new Map<string, number>();
  for (const { queueId } of messages) {
    const queue = queueName(queueId, names);
    counts.set(queue, (counts.get(queue) ?? 0) + 1);
  }
  return [...counts].map(([queue, count]) => ({ queue, messages: count }));
}

/** As it is called in reports. */
export function queueName(id: number, names: ReadonlyMap<number, string>): string {
  return names.get(id) ?? `(queue ${id}, which no definition names)`;
}
