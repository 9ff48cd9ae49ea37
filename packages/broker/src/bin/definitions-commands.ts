import { readFile } from 'node:fs/promises';
import { exportDefinitions, usersWithoutRabbitHash } from '../management/definitions-export.js';
import { importDefinitions } from '../management/definitions-import.js';
import { BrokerError, messageOf, systemCodeOf } from '../errors.js';
import { type Command, JSON_OPTION } from './command.js';
import { change, CHANGES_HELP, DATA_OPTION, definitionsIn, READS_HELP } from './data-directory.js';
import { count } from './format.js';

const definitionsExport: Command = {
  name: 'definitions export',
  parameters: [],
  options: DATA_OPTION,
  summary: "prints all definitions as JSON, in RabbitMQ's form",
  help: `\`rabbitmqctl import_definitions\` takes it. ${READS_HELP}`,
  async run({ values }, terminal) {
    const definitions = await definitionsIn(values);
    terminal.out(JSON.stringify(exportDefinitions(definitions), undefined, 2));
    const users = usersWithoutRabbitHash(definitions);
    if (users > 0)
      terminal.err(
        `RabbitMQ can't compare the passwords of ${count(users, 'user')}: set them there (\`rabbitmqctl change_password\`).`,
      );
    return 0;
  },
};

const definitionsImport: Command = {
  name: 'definitions import',
  parameters: ['FILE'],
  options: { ...DATA_OPTION, ...JSON_OPTION, 'skip-unsupported': { type: 'boolean' } },
  summary: 'adds definitions that RabbitMQ or nestmq exported',
  help: `FILE is what \`rabbitmqctl export_definitions\` or \`nestmq definitions export\` wrote; - is the standard input. What this broker does not do is listed, and nothing is imported; --skip-unsupported leaves it out. ${CHANGES_HELP}`,
  async run({ positionals: [file = ''], values }, terminal) {
    const text = file === '-' ? await terminal.input() : await textOf(file);
    const skipUnsupported = values['skip-unsupported'] === true;
    const report = await change(values, (broker) => importDefinitions(broker, text, { skipUnsupported }));
    if (values['json'] === true) terminal.out(JSON.stringify(report));
    else {
      const kinds = Object.entries(report.imported).filter(([, number]) => number > 0);
      terminal.out(
        `Imported: ${kinds.map(([kind, number]) => `${kind} ${number}`).join(', ') || 'nothing'}.`,
      );
      for (const line of report.skipped) terminal.out(`Left out: ${line}`);
    }
    return 0;
  },
};

export const DEFINITIONS_COMMANDS: readonly Command[] = [definitionsExport, definitionsImport];

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = systemCodeOf(cause) ?? messageOf(cause);
    throw new BrokerError('INVALID_OPTION', `The file '${file}' can't be read (${code}).`, { cause });
  }
}
