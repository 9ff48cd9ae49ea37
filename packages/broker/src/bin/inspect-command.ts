import { resolve } from 'node:path';
import { nodeFileSystem } from '../store/node-file-system.js';
import { inspectJournal, type InspectReport } from '../tools/inspect.js';
import { type Command, JSON_OPTION } from './command.js';
import { bytesText, count } from './format.js';

export const inspectCommand: Command = {
  name: 'inspect',
  parameters: ['DIR'],
  options: JSON_OPTION,
  summary: 'lists the queues and files of a journal',
  help: 'Changes nothing, and may run beside the broker. Exit code: 0, 1 damaged, 2 can not be read.',
  async run({ positionals: [directory = ''], values }, terminal) {
    const report = await inspectJournal(nodeFileSystem, resolve(directory));
    if (values['json'] === true) terminal.out(JSON.stringify(report));
    else for (const line of linesOf(report)) terminal.out(line);
    return 0;
  },
};

function linesOf({ directory, queues, exchanges, bindings, segments, bytes, mark }: InspectReport): string[] {
  return [
    `${directory}: ${count(queues.length, 'queue')}, ${count(exchanges.length, 'exchange')}, ${count(bindings, 'binding')}`,
    ...queues.map(({ name, messages, oldestSequence: oldest, newestSequence: newest }) =>
      messages === 0
        ? `  queue ${name}: empty`
        : `  queue ${name}: ${count(messages, 'message')}, sequences ${oldest} to ${newest}`,
    ),
    ...exchanges.map(({ name, type }) => `  exchange ${name}: ${type}`),
    `${count(segments.length, 'segment')}, ${bytesText(bytes)}, durable up to segment ${mark.segment}, offset ${mark.offset}`,
    ...segments.map(
      (one) =>
        `  ${one.file}: ${bytesText(one.bytes)}, ${one.live} of ${count(one.messages, 'message')} live (${Math.round(100 * one.liveRatio)} %)${one.hasIndex ? ', index' : ''}`,
    ),
  ];
}
