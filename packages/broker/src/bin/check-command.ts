import { resolve } from 'node:path';
import { nodeFileSystem } from '../store/node-file-system.js';
import { checkJournal, type CheckReport } from '../tools/check.js';
import { type Command, JSON_OPTION } from './command.js';
import { bytesText, count, problemText } from './format.js';
import { progressLines } from './progress-lines.js';

/** A report of many problems shows so many; --json shows all. */
const SHOWN_MAX = 20;

export const checkCommand: Command = {
  name: 'check',
  parameters: ['DIR'],
  options: JSON_OPTION,
  summary: 'reads all of a journal and says whether it is whole',
  help: 'Changes nothing, and may run beside the broker. Exit code: 0 sound, 1 damaged, 2 can not be checked.',
  async run({ positionals: [directory = ''], values }, terminal) {
    const report = await checkJournal(nodeFileSystem, resolve(directory), {
      onProgress: progressLines(terminal),
    });
    if (values['json'] === true) terminal.out(JSON.stringify(report));
    else for (const line of linesOf(report, directory)) terminal.out(line);
    return report.verdict === 'sound' ? 0 : 1;
  },
};

function linesOf(report: CheckReport, directory: string): string[] {
  const { verdict, segments, bytes, records, messages, problems, notes } = report;
  const more = problems.length - SHOWN_MAX;
  return [
    `${report.directory}: ${verdict === 'sound' ? 'sound' : 'DAMAGED'}`,
    `  ${count(segments.length, 'segment')}, ${bytesText(bytes)}, ${count(records, 'record')}; ${count(messages, 'message')} in queues`,
    ...problems.slice(0, SHOWN_MAX).map((problem) => `  damage: ${problemText(problem)}`),
    ...(more > 0 ? [`  … and ${more} more; --json tells all`] : []),
    ...notes.map((note) => `  note: ${note}`),
    verdict === 'sound'
      ? 'Nothing has to be done.'
      : `Next: stop the broker, then \`nestmq repair ${directory}\` keeps what can be read; or restore a backup.`,
  ];
}
