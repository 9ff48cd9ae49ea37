import { acquireDirectory } from '../store/directory-lock.js';
import { type Clock, systemClock } from '../clock.js';
import { BrokerError, messageOf } from '../errors.js';
import type { FileSystem } from '../store/file-system.js';
import { nodeFileSystem } from '../store/node-file-system.js';
import { recoverJournal } from '../store/recovery.js';
import { randomSegmentKey } from '../store/segment.js';
import { SegmentReader } from '../store/segment-reader.js';
import { DurableMark } from '../store/durable-mark.js';
import { decodeKey } from '../definitions/definitions.js';
import { checkJournal, type CheckReport } from './check.js';
import { assertJournal, journalIn } from './directory.js';
import { type JournalView, viewJournal } from './journal-view.js';
import { type Problem, queueName } from './problems.js';
import type { ToolOptions } from './progress.js';
import { type QueueState, queueStateOf } from './queue-state.js';
import { appendSegments, type AppendedSegments } from './repair-appender.js';
import { fresh, Quarantine, quarantineName, writeFresh, writeMark, writeRepaired } from './repair-files.js';
import { planRepair, type RepairPlan } from './repair-plan.js';
import { surveyJournal } from './survey.js';

/** Of {@link repairJournal}. */
export interface RepairOptions extends ToolOptions {
  /** Asked before anything is changed. @default nobody is asked */
  readonly confirm?: (report: RepairReport) => boolean | Promise<boolean>;
  /** @default the system's */
  readonly clock?: Clock;
  /** Gives each segment that is made its key: below 2^48, and not to be guessed. @default from the system's randomness */
  readonly newSegmentKey?: () => number;
}

/** What {@link repairJournal} has done, or would do. */
export interface RepairReport {
  readonly directory: string;
  /** `sound`: there was nothing to do. `planned`: it was not confirmed, and nothing was changed. */
  readonly outcome: 'sound' | 'planned' | 'repaired';
  readonly problems: readonly Problem[];
  /** Where the originals of all files are that were changed. */
  readonly quarantine: string | undefined;
  readonly changedFiles: readonly string[];
  /** Messages that are in queues afterwards. */
  readonly kept: number;
  /** Messages that can't be read any more, as far as that is known. They are settled. */
  readonly lost: readonly LostFromQueue[];
  /** Records are lost of which nothing tells what they said: messages that they settled come again, and some may be lost. */
  readonly mayComeAgain: boolean;
  readonly definitionsMayBeMissing: boolean;
  /** Queues that were given a name, since theirs is lost. */
  readonly recoveredQueues: readonly string[];
  /** Bindings whose exchange or queue is lost. */
  readonly droppedBindings: readonly string[];
}

/** Which messages of a queue can not be read any more. */
export interface LostFromQueue {
  readonly queue: string;
  readonly messages: number;
  readonly sequences: readonly number[];
}

/**
 * Makes a damaged journal one that the broker opens, with everything in it that can be read. Originals of changed files go
 * to a directory of quarantine beside the journal. Killed at any time, it can be run again.
 *
 * Rejects with DIRECTORY_UNUSABLE, DIRECTORY_LOCKED (a broker runs), JOURNAL_VERSION (nothing was changed), or
 * JOURNAL_DAMAGED when the repaired journal would not be opened.
 */
export async function repairJournal(
  fileSystem: FileSystem,
  directory: string,
  options: RepairOptions = {},
): Promise<RepairReport> {
  await assertJournal(fileSystem, directory);
  const lock = fileSystem === nodeFileSystem ? await own(directory) : undefined;
  try {
    return await repairOwned(fileSystem, directory, options);
  } finally {
    await lock?.release();
  }
}

async function own(directory: string): ReturnType<typeof acquireDirectory> {
  try {
    return await acquireDirectory(directory);
  } catch (cause) {
    if (!(cause instanceof BrokerError) || cause.code !== 'DIRECTORY_LOCKED') throw cause;
    throw new BrokerError('DIRECTORY_LOCKED', `A broker is running in '${directory}'.`, {
      severity: 'broker',
      cure: 'Stop it to repair; `nestmq check` and `nestmq backup` may run beside it.',
      cause,
    });
  }
}

async function repairOwned(
  fileSystem: FileSystem,
  directory: string,
  options: RepairOptions,
): Promise<RepairReport> {
  const { newSegmentKey = randomSegmentKey } = options;
  const view = await viewJournal(fileSystem, directory);
  let written: AppendedSegments;
  let plan: RepairPlan;
  let report: RepairReport;
  try {
    const survey = await surveyJournal(directory, view, options);
    const state = queueStateOf(survey);
    plan = planRepair(survey, state, newSegmentKey);
    report = reportOf(directory, plan, state);
    if (report.outcome === 'sound' || (await options.confirm?.(report)) === false) return report;
    written = await writeAll(fileSystem, view, plan, newSegmentKey);
  } finally {
    await view.close();
  }
  const quarantine = await putInPlace(fileSystem, directory, plan, {
    written,
    clock: options.clock ?? systemClock,
  });
  const { messages } = await verify(fileSystem, directory, quarantine, options);
  return { ...report, outcome: 'repaired', quarantine, kept: messages };
}

function reportOf(directory: string, plan: RepairPlan, state: QueueState): RepairReport {
  const isSound = plan.problems.length === 0;
  const { entries } = state;
  const inQueues = [...entries.values()].reduce((sum, { length }) => sum + length, 0);
  return {
    directory,
    outcome: isSound ? 'sound' : 'planned',
    problems: plan.problems,
    quarantine: undefined,
    changedFiles: isSound ? [] : [...plan.segments.map(({ name }) => name), ...plan.removed],
    kept: inQueues - plan.appended.settled.length + plan.appended.rescued.length,
    lost: lostFromQueues(plan, state),
    mayComeAgain: plan.mayComeAgain,
    definitionsMayBeMissing: plan.definitionsMayBeMissing,
    recoveredQueues: plan.recoveredQueues,
    droppedBindings: plan.droppedBindings.map((key) => decodeKey(key).slice(1).join(' ')),
  };
}

function lostFromQueues({ lost }: RepairPlan, { names }: QueueState): LostFromQueue[] {
  const sequences = new Map<string, number[]>();
  for (const { queueId, sequence } of lost) {
    const queue = queueName(queueId, names);
    const here = sequences.get(queue);
    if (here === undefined) sequences.set(queue, [sequence]);
    else here.push(sequence);
  }
  return [...sequences].map(([queue, all]) => ({ queue, messages: all.length, sequences: all }));
}

/** Writes all new files beside the old ones. Nothing that is in the journal has changed after it. */
async function writeAll(
  fileSystem: FileSystem,
  view: JournalView,
  { segments, appended, firstSegment }: RepairPlan,
  newSegmentKey: () => number,
): Promise<AppendedSegments> {
  const { directory } = view;
  const reader = new SegmentReader(view, directory, () => {});
  const written = await appendSegments(fileSystem, directory, reader, appended, newSegmentKey);
  for (const plan of segments) {
    const from = plan.hasOriginal ? await view.open(`${directory}/${plan.name}`, 'read') : undefined;
    await writeFresh(fileSystem, `${directory}/${fresh(plan.name)}`, (to) => writeRepaired(from, to, plan));
  }
  await writeMark(fileSystem, `${directory}/${fresh('durable')}`, { position: written.end, firstSegment });
  await reader.close();
  return written;
}

/**
 * First the new last segments: from then on the journal itself knows what only the indexes of damaged segments knew. So
 * it can be left off after any step, and another repair finds as much as this one did. The mark comes last.
 */
async function putInPlace(
  fileSystem: FileSystem,
  directory: string,
  { segments, removed }: RepairPlan,
  { written, clock }: { readonly written: AppendedSegments; readonly clock: Clock },
): Promise<string> {
  const name = quarantineName(clock.now(), await fileSystem.list(directory));
  const quarantine = new Quarantine(fileSystem, journalIn(directory), `${directory}/${name}`);
  await fileSystem.makeDirectory(quarantine.directory);
  for (const one of written.names) await quarantine.replace(one);
  // Before their segments: a broker that is started in between would believe an index that speaks of what is gone.
  for (const one of removed) await quarantine.take(one);
  for (const one of segments) await quarantine.replace(one.name);
  await quarantine.replace('durable');
  return quarantine.directory;
}

async function verify(
  fileSystem: FileSystem,
  directory: string,
  quarantine: string,
  options: ToolOptions,
): Promise<CheckReport> {
  try {
    const journal = journalIn(directory);
    await recoverJournal(fileSystem, journal, await DurableMark.read(fileSystem, `${journal}/durable`));
    const report = await checkJournal(fileSystem, directory, options);
    const [problem] = report.problems;
    if (problem !== undefined) throw new Error(`${problem.file}, offset ${problem.offset}: ${problem.why}`);
    return report;
  } catch (cause) {
    throw new BrokerError(
      'JOURNAL_DAMAGED',
      `The repaired journal in '${directory}' is not sound: ${messageOf(cause)}.`,
      {
        severity: 'broker',
        cure: `The originals are in ${quarantine}. Try again; if it stays so, the disk may be failing.`,
        cause,
      },
    );
  }
}
