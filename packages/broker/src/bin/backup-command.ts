import { resolve } from 'node:path';
import { nodeFileSystem } from '../store/node-file-system.js';
import { backUpJournal } from '../tools/backup.js';
import { type Command, JSON_OPTION } from './command.js';
import { bytesText, count } from './format.js';
import { progressLines } from './progress-lines.js';

export const backupCommand: Command = {
  name: 'backup',
  parameters: ['DIR', 'TO'],
  options: JSON_OPTION,
  summary: 'copies a journal, also while its broker runs',
  help: 'TO must not exist, or be empty; a broker can be opened on it. All that was confirmed before is in it. Exit code: 0 done, 1 the journal is damaged, 2 could not be done.',
  async run({ positionals: [directory = '', to = ''], values }, terminal) {
    const report = await backUpJournal(nodeFileSystem, resolve(directory), resolve(to), {
      onProgress: progressLines(terminal),
    });
    const { bytes, segments, messages } = report;
    if (values['json'] === true) terminal.out(JSON.stringify(report));
    else {
      const what = `${count(segments, 'segment')}, ${bytesText(bytes)}, ${count(messages, 'message')} in queues`;
      terminal.out(`${report.directory} is copied to ${report.to}, and the copy was read again: ${what}.`);
    }
    return 0;
  },
};
