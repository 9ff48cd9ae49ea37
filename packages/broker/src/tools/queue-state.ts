import { decodeKey, queueLabel, type QueueDefinition } from '../definitions/definitions.js';
import { lowerBound } from '../store/columns.js';
import type { QueueMark, StoredEntries } from '../store/message-store.js';
import { offsetOf, type Position, positionOf, segmentOf } from '../store/record.js';
import { markAt } from '../store/recovered-marks.js';
import { RecoveredQueues } from '../store/recovered-queues.js';
import { define } from '../store/recovery.js';
import type { SegmentIndex } from '../store/segment-index.js';
import type { Survey, SurveyedSegment } from './survey.js';

/** A message in a queue. */
export interface MessageInQueue {
  readonly queueId: number;
  readonly sequence: number;
  readonly position: Position;
  readonly deliveryCount: number;
  readonly mark: QueueMark;
}

/** What is in the queues by the records that read, against what was in them as far as the indexes still know. */
export interface QueueState {
  readonly entries: ReadonlyMap<number, StoredEntries>;
  readonly definitions: ReadonlyMap<string, unknown>;
  /** By the indexes too. */
  readonly knownDefinitions: ReadonlyMap<string, unknown>;
  readonly names: ReadonlyMap<number, string>;
  /** Were there, and no record of them reads. */
  readonly lost: readonly MessageInQueue[];
  /** Their records read, but not that of the message that they were made from, with the body. */
  readonly bodiless: readonly MessageInQueue[];
  /** The record that moved them is lost, but their bodies are here. */
  readonly rescued: readonly RescuedMessage[];
  /** Were settled, and the records that say so are lost. */
  readonly risen: readonly MessageInQueue[];
  /** Have another delivery count, or another time before which they are not delivered, than the records say that read. */
  readonly miscounted: readonly MessageInQueue[];
  /** Something was lost of which no index tells what it said. */
  readonly unknown: boolean;
}

export interface RescuedMessage extends MessageInQueue {
  readonly bodyPosition: Position;
}

export function queueStateOf(survey: Survey): QueueState {
  const { segments } = survey;
  const read = replay(survey, ({ index }) => index);
  const isChanged = segments.some((segment) => knows(segment) !== segment.index);
  const known = isChanged ? replay(survey, knows) : read;
  const knownDefinitions = definitionsOf(survey, knows);
  const state = {
    entries: read,
    definitions: isChanged ? definitionsOf(survey, ({ index }) => index) : knownDefinitions,
    knownDefinitions,
    names: namesIn(knownDefinitions),
    unknown: losesTheUnknown(survey),
    bodiless: bodilessIn(survey, read),
  };
  return isChanged
    ? { ...state, ...differences(survey, read, known) }
    : { ...state, lost: [], rescued: [], risen: [], miscounted: [] };
}

/** What the segment said, as far as that is known. */
function knows({ index, stored, damage, headerProblem }: SurveyedSegment): SegmentIndex {
  return damage.length > 0 || headerProblem !== undefined ? (stored ?? index) : index;
}

function losesTheUnknown(survey: Survey): boolean {
  const unknown = survey.segments.some(
    ({ damage, stored, headerProblem, fileBytes }) =>
      stored === undefined && (damage.length > 0 || (headerProblem !== undefined && fileBytes === undefined)),
  );
  return (
    unknown ||
    survey.missingFirst.length > 0 ||
    survey.lostEndBytes > 0 ||
    survey.snapshotProblem !== undefined
  );
}

function replay(
  { segments }: Survey,
  indexOf: (segment: SurveyedSegment) => SegmentIndex,
): Map<number, StoredEntries> {
  const queues = new RecoveredQueues();
  for (const segment of segments) queues.add(segment.number, indexOf(segment));
  return queues.finish();
}

function definitionsOf(
  { segments, snapshot }: Survey,
  indexOf: (segment: SurveyedSegment) => SegmentIndex,
): Map<string, unknown> {
  const definitions = new Map(snapshot.definitions);
  for (const segment of segments) define(definitions, snapshot.through, indexOf(segment));
  return definitions;
}

/** Queue names by id. */
function namesIn(definitions: ReadonlyMap<string, unknown>): Map<number, string> {
  const names = new Map<number, string>();
  for (const [text, value] of definitions) {
    const key = decodeKey(text);
    if (key[0] === 'queue') names.set((value as QueueDefinition).id, queueLabel(key[1], key[2]));
  }
  return names;
}

// ---------------------------------------------------------------- comparing

function differences(
  survey: Survey,
  read: ReadonlyMap<number, StoredEntries>,
  known: ReadonlyMap<number, StoredEntries>,
): Pick<QueueState, 'lost' | 'rescued' | 'risen' | 'miscounted'> {
  const lost: MessageInQueue[] = [];
  const risen: MessageInQueue[] = [];
  const miscounted: MessageInQueue[] = [];
  for (const queueId of new Set([...read.keys(), ...known.keys()])) {
    const [is, was] = [rowsOf(queueId, read), rowsOf(queueId, known)];
    let a = is.next();
    let b = was.next();
    while (!a.done || !b.done) {
      const [here, there] = [a.done ? Infinity : a.value.sequence, b.done ? Infinity : b.value.sequence];
      if (!a.done && here < there) risen.push(a.value);
      if (!b.done && there < here) lost.push(b.value);
      if (!a.done && !b.done && here === there && isRequeued(a.value, b.value)) miscounted.push(b.value);
      if (here <= there) a = is.next();
      if (there <= here) b = was.next();
    }
  }
  const damaged = survey.segments.filter((segment) => knows(segment) !== segment.index);
  const bodies = new Map<Position, Position>();
  for (const segment of damaged) {
    for (const [position, body] of bodyPositionsIn(segment, knows(segment))) bodies.set(position, body);
  }
  const rescued: RescuedMessage[] = [];
  const gone: MessageInQueue[] = [];
  for (const one of lost) {
    const bodyPosition = bodies.get(one.position);
    if (isReadable(survey, bodyPosition)) rescued.push({ ...one, bodyPosition: bodyPosition as Position });
    else gone.push(one);
  }
  return { lost: gone, rescued, risen, miscounted };
}

/** What a requeue says is different. */
function isRequeued(is: MessageInQueue, was: MessageInQueue): boolean {
  return is.deliveryCount !== was.deliveryCount || is.mark.readyAt !== was.mark.readyAt;
}

export function* rowsOf(
  queueId: number,
  entries: ReadonlyMap<number, StoredEntries>,
): Generator<MessageInQueue> {
  const found = entries.get(queueId);
  for (let i = 0; i < (found?.length ?? 0); i++) {
    yield {
      queueId,
      sequence: found?.sequences[i] as number,
      position: found?.positions[i] as number,
      deliveryCount: found?.deliveryCounts[i] as number,
      mark: markAt(found ?? {}, i),
    };
  }
}

// ---------------------------------------------------------------- bodies

function bodilessIn(survey: Survey, entries: ReadonlyMap<number, StoredEntries>): MessageInQueue[] {
  const without = new Set<Position>();
  for (const segment of survey.segments) {
    for (const [position, body] of bodyPositionsIn(segment, segment.index)) {
      if (!isReadable(survey, body)) without.add(position);
    }
  }
  const found: MessageInQueue[] = [];
  if (without.size === 0) return found;
  for (const queueId of entries.keys()) {
    for (const row of rowsOf(queueId, entries)) if (without.has(row.position)) found.push(row);
  }
  return found;
}

/** The positions of moved messages' records, and where their bodies are. */
function* bodyPositionsIn(
  { number }: SurveyedSegment,
  { bodyPositions, borrowerOffsets }: SegmentIndex,
): Generator<[Position, Position]> {
  for (let i = 0; i < bodyPositions.length; i++) {
    yield [positionOf(number, borrowerOffsets.array[i] as number), bodyPositions.array[i] as number];
  }
}

/** Whether a message's record can be read at this position. */
function isReadable({ segments }: Survey, position: Position | undefined): boolean {
  if (position === undefined) return false;
  const segment = segments[segmentOf(position) - (segments[0]?.number ?? 0)];
  if (segment === undefined) return false;
  const offsets = segment.index.offsets.values();
  return offsets[lowerBound(offsets, offsetOf(position))] === offsetOf(position);
}
