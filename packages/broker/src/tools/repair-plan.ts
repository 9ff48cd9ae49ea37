import { decodeKey, encodeKey } from '../definitions/definitions.js';
import { RECORD_HEADER_BYTES } from '../store/record.js';
import type { SegmentHeader } from '../store/segment.js';
import type { SegmentIndex } from '../store/segment-index.js';
import { PREDECLARED } from '../exchanges.js';
import { misses, orphans, type Problem, problemsOf } from './problems.js';
import type { MessageInQueue, QueueState, RescuedMessage } from './queue-state.js';
import type { DamagedRange } from './segment-survey.js';
import type { Survey, SurveyedSegment } from './survey.js';

/** Between the last sequence that is known and the next one: so that none that was lost is given again. */
const SEQUENCES_SKIPPED = 2 ** 32;

/** A segment file that gets others of its bytes. */
export interface SegmentPlan {
  readonly name: string;
  /** Undefined when the one in the file stays. */
  readonly header: SegmentHeader | undefined;
  /** What gaps take the place of. */
  readonly gaps: readonly DamagedRange[];
  readonly end: number;
  readonly hasOriginal: boolean;
}

/** What is written behind all that is there. */
export interface Appended {
  readonly header: Omit<SegmentHeader, 'key'>;
  readonly definitions: ReadonlyMap<string, unknown>;
  readonly rescued: readonly RescuedMessage[];
  readonly settled: readonly MessageInQueue[];
  readonly counted: readonly MessageInQueue[];
}

export interface RepairPlan {
  readonly problems: readonly Problem[];
  readonly segments: readonly SegmentPlan[];
  /** Files that go, and are made anew from the records when they are needed. */
  readonly removed: readonly string[];
  readonly appended: Appended;
  readonly firstSegment: number;
  /** Messages that can't be read any more. */
  readonly lost: readonly MessageInQueue[];
  /** Settlements may be lost of which nothing tells: what they settled comes again. */
  readonly mayComeAgain: boolean;
  readonly definitionsMayBeMissing: boolean;
  /** Names that queues get whose definitions are lost. */
  readonly recoveredQueues: readonly string[];
  /** Bindings of exchanges or queues whose definitions are lost. */
  readonly droppedBindings: readonly string[];
}

/** What has to be done so that the broker opens the journal, and nothing that can be read is lost. */
export function planRepair(survey: Survey, state: QueueState, newSegmentKey: () => number): RepairPlan {
  const segments = planSegments(survey, newSegmentKey);
  const lastEnd = ends(survey.segments).at(-1) ?? 0;
  const risen = new Set(state.risen.map(nameOf));
  const bodiless = state.bodiless.filter((one) => !risen.has(nameOf(one)));
  const settled = [...state.risen, ...bodiless];
  const definitionsMayBeMissing = state.unknown || misses(survey, state);
  const definitions = planDefinitions(state, { definitionsMayBeMissing, settled });
  return {
    problems: problemsOf(survey, state),
    segments,
    removed: removedFiles(survey, segments),
    appended: {
      header: {
        number: lastNumber(survey) + 1,
        firstSequence: highestSequence(survey) + SEQUENCES_SKIPPED,
        previousEnd: lastEnd,
      },
      definitions: definitions.appended,
      rescued: state.rescued,
      settled,
      counted: state.miscounted,
    },
    firstSegment: survey.segments[0]?.number ?? lastNumber(survey) + 1,
    lost: [...state.lost, ...bodiless],
    mayComeAgain: state.unknown,
    definitionsMayBeMissing,
    recoveredQueues: definitions.recovered,
    droppedBindings: definitions.dropped,
  };
}

function nameOf({ queueId, sequence }: MessageInQueue): string {
  return `${queueId} ${sequence}`;
}

// ---------------------------------------------------------------- segments

function planSegments({ segments }: Survey, newSegmentKey: () => number): SegmentPlan[] {
  const allEnds = ends(segments);
  return segments.flatMap((segment, i) => {
    const { name, damage, fileBytes, header, key } = segment;
    const [end, previousEnd] = [allEnds[i] as number, i === 0 ? header?.previousEnd : allEnds[i - 1]];
    const keepsHeader = header !== undefined && header.previousEnd === previousEnd;
    if (keepsHeader && damage.length === 0 && fileBytes === end) return [];
    const rebuilt = {
      key: header?.key ?? key ?? newSegmentKey(),
      number: segment.number,
      firstSequence: header?.firstSequence ?? lastSequenceBefore(segments, i) + 1,
      previousEnd: previousEnd ?? 0,
    };
    const gaps = damage.filter(({ from }) => from < end);
    const hasOriginal = fileBytes !== undefined;
    return [{ name, header: keepsHeader ? undefined : rebuilt, gaps, end, hasOriginal }];
  });
}

/** Where the segments end. A gap takes 12 bytes: what is damaged at the end and shorter is cut off. */
function ends(segments: readonly SurveyedSegment[]): number[] {
  return segments.map(({ damage, end }) => {
    const last = damage.at(-1);
    return last?.to === end && last.to - last.from < RECORD_HEADER_BYTES ? last.from : end;
  });
}

function lastNumber({ segments, view, missingFirst }: Survey): number {
  return segments.at(-1)?.number ?? missingFirst.at(-1) ?? Math.max(0, view.marked.firstSegment - 1);
}

function lastSequenceBefore(segments: readonly SurveyedSegment[], i: number): number {
  return Math.max(0, ...segments.slice(0, i).map(({ index }) => index.lastSequence));
}

/** The highest sequence that anything speaks of. */
function highestSequence({ segments, snapshot }: Survey): number {
  let highest = snapshot.through;
  const see = (sequence: number): void => {
    if (sequence > highest) highest = sequence;
  };
  for (const { header, index, stored } of segments) {
    see(header?.firstSequence ?? 0);
    for (const one of stored === undefined ? [index] : [index, stored]) seeAll(one, see);
  }
  return highest;
}

function seeAll(index: SegmentIndex, see: (sequence: number) => void): void {
  see(index.lastSequence);
  for (const sequence of index.settledSequences.values()) see(sequence);
  for (const sequence of index.countedSequences.values()) see(sequence);
  for (const { through } of index.discards) see(through);
}

/** Indexes of segments that change, or that are wrong, and damaged definitions. */
function removedFiles(survey: Survey, segments: readonly SegmentPlan[]): string[] {
  const changed = new Set(segments.map(({ name }) => name));
  const indexes = survey.segments
    .filter(
      ({ name, indexState, hasIndexFile }) => indexState === 'wrong' || (changed.has(name) && hasIndexFile),
    )
    .map(({ name }) => name.replace('.segment', '.index'));
  return [...indexes, ...(survey.snapshotProblem === undefined ? [] : ['definitions.json'])];
}

// ---------------------------------------------------------------- definitions

const VHOST = '/';

interface DefinitionsPlan {
  readonly appended: Map<string, unknown>;
  readonly recovered: string[];
  readonly dropped: string[];
}

/** What the indexes still know, names for queues that have lost theirs, and no binding of something unknown. */
function planDefinitions(
  state: QueueState,
  {
    definitionsMayBeMissing,
    settled,
  }: { readonly definitionsMayBeMissing: boolean; readonly settled: readonly MessageInQueue[] },
): DefinitionsPlan {
  const wanted = new Map(state.knownDefinitions);
  const recovered: string[] = [];
  for (const id of definitionsMayBeMissing ? queuesInNeed(state, settled) : []) {
    const name = freeName(`recovered.${id}`, wanted);
    recovered.push(name);
    wanted.set(encodeKey(['queue', VHOST, name]), { id, autoDelete: false });
  }
  const dropped = danglingBindings(wanted);
  for (const key of dropped) wanted.delete(key);
  const appended = new Map<string, unknown>();
  for (const key of new Set([...state.definitions.keys(), ...wanted.keys()])) {
    const [is, shall] = [state.definitions.get(key) ?? null, wanted.get(key) ?? null];
    if (JSON.stringify(is) !== JSON.stringify(shall)) appended.set(key, shall);
  }
  return { appended, recovered, dropped };
}

/** Those with messages, and without a definition: they would be discarded at the next start. */
function queuesInNeed(state: QueueState, settled: readonly MessageInQueue[]): number[] {
  const left = new Map(orphans(state).map((id) => [id, state.entries.get(id)?.length ?? 0]));
  for (const { queueId } of settled) left.set(queueId, (left.get(queueId) ?? 0) - 1);
  for (const { queueId } of state.rescued) if (!state.names.has(queueId)) left.set(queueId, Infinity);
  return [...left].filter(([id, messages]) => messages > 0 && !state.names.has(id)).map(([id]) => id);
}

function freeName(name: string, definitions: ReadonlyMap<string, unknown>): string {
  let free = name;
  for (let i = 2; definitions.has(encodeKey(['queue', VHOST, free])); i++) free = `${name}.${i}`;
  return free;
}

/** The vhost can't bind what it does not know. */
function danglingBindings(definitions: ReadonlyMap<string, unknown>): string[] {
  const predeclared = new Set(PREDECLARED.map(([name]) => name));
  const hasExchange = (vhost: string, name: string): boolean =>
    predeclared.has(name) || definitions.has(encodeKey(['exchange', vhost, name]));
  return [...definitions.keys()].filter((text) => {
    const key = decodeKey(text);
    if (key[0] !== 'binding' && key[0] !== 'exchange-binding') return false;
    const [kind, vhost, source, destination] = key;
    const hasDestination =
      kind === 'binding'
        ? definitions.has(encodeKey(['queue', vhost, destination]))
        : hasExchange(vhost, destination);
    return !hasExchange(vhost, source) || !hasDestination;
  });
}
