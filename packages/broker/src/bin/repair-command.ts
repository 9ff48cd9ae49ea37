import { resolve } from 'node:path';
import { nodeFileSystem } from '../store/node-file-system.js';
import { repairJournal, type RepairReport } from '../tools/repair.js';
import { type Command, JSON_OPTION, type Terminal } from './command.js';
import { count, messagesText, problemText } from './format.js';
import { progressLines } from './progress-lines.js';

export const repairCommand: Command = {
  name: 'repair',
  parameters: ['DIR'],
  options: { ...JSON_OPTION, yes: { type: 'boolean' } },
  summary: 'keeps what can be read of a damaged journal, so that the broker opens it',
  help: 'The broker must not run. Shows what it would do, and asks; --yes does it at once. The originals of changed files go to DIR/quarantine-…. Exit code: 0 repaired or sound, 1 still damaged, 2 could not be done or was not confirmed.',
  async run({ positionals: [directory = ''], values }, terminal) {
    const [json, yes] = [values['json'] === true, values['yes'] === true];
    const report = await repairJournal(nodeFileSystem, resolve(directory), {
      onProgress: progressLines(terminal),
      confirm: (plan) => yes || (!json && confirmed(plan, terminal)),
    });
    if (json) terminal.out(JSON.stringify(report));
    else if (report.outcome !== 'planned') for (const line of linesOf(report)) terminal.out(line);
    if (report.outcome !== 'planned') return 0;
    terminal.err('Nothing was changed. --yes confirms it.');
    return 2;
  },
};

async function confirmed(plan: RepairReport, terminal: Terminal): Promise<boolean> {
  for (const line of linesOf(plan)) terminal.out(line);
  const answer = await terminal.ask('Repair it? (yes/no) ');
  return answer?.trim().toLowerCase() === 'yes';
}

function linesOf(report: RepairReport): string[] {
  const { directory, outcome, problems, quarantine, changedFiles, kept, lost } = report;
  if (outcome === 'sound') return [`${directory}: sound, nothing to repair`];
  const isDone = outcome === 'repaired';
  return [
    `${directory}: ${isDone ? 'repaired' : 'to be repaired'}`,
    ...problems.map((problem) => `  damage: ${problemText(problem)}`),
    `  ${isDone ? 'changed' : 'would be changed'}: ${changedFiles.join(', ')}`,
    `  kept: ${count(kept, 'message')} in queues`,
    ...lost.map((one) => `  lost: ${messagesText(one)}, ${sequencesText(one.sequences)}`),
    ...warningsOf(report),
    ...(isDone ? [`  originals: ${quarantine}`, 'A broker can be started on it now.'] : []),
  ];
}

function warningsOf(report: RepairReport): string[] {
  const { mayComeAgain, definitionsMayBeMissing, recoveredQueues, droppedBindings } = report;
  const warnings: string[] = [];
  if (mayComeAgain) {
    warnings.push(
      'some damage has no index: what was there is not known, and messages that were settled may come again',
    );
  }
  if (definitionsMayBeMissing)
    warnings.push('exchanges, queues or bindings may be missing: declare them again');
  if (recoveredQueues.length > 0) {
    warnings.push(`queues whose names are lost: their messages are in ${recoveredQueues.join(', ')}`);
  }
  for (const binding of droppedBindings)
    warnings.push(`a binding of something that is lost is dropped: ${binding}`);
  return warnings.map((warning) => `  note: ${warning}`);
}

function sequencesText(sequences: readonly number[]): string {
  const shown = sequences.slice(0, 10).join(', ');
  return `sequence ${shown}${sequences.length > 10 ? ', …' : ''}`;
}
