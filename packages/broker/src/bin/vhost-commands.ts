import { BrokerError } from '../errors.js';
import { type Command, JSON_OPTION } from './command.js';
import { change, CHANGES_HELP, DATA_OPTION, READS_HELP, registryIn, textIn } from './data-directory.js';

const vhostAdd: Command = {
  name: 'vhost add',
  parameters: ['NAME'],
  options: { ...DATA_OPTION, description: { type: 'string' }, tags: { type: 'string' } },
  summary: 'adds a vhost',
  help: `Nobody may use it until \`nestmq permission set\`. ${CHANGES_HELP}`,
  async run({ positionals: [name = ''], values }) {
    const tags = (textIn(values, 'tags') ?? '').split(',').filter((tag) => tag !== '');
    await change(values, ({ registry }) => {
      if (registry.vhosts.has(name))
        throw new BrokerError('INVALID_DEFINITION', `There is a vhost '${name}' already.`);
      registry.setVhost(name, { description: textIn(values, 'description') ?? '', tags });
    });
    return 0;
  },
};

const vhostDelete: Command = {
  name: 'vhost delete',
  parameters: ['NAME'],
  options: DATA_OPTION,
  summary: 'deletes a vhost, with its queues and all messages in them',
  help: CHANGES_HELP,
  async run({ positionals: [name = ''], values }) {
    await change(values, ({ registry }) => registry.deleteVhost(name));
    return 0;
  },
};

const vhostList: Command = {
  name: 'vhost list',
  parameters: [],
  options: { ...DATA_OPTION, ...JSON_OPTION },
  summary: 'lists the vhosts',
  help: READS_HELP,
  async run({ values }, terminal) {
    const { vhosts } = await registryIn(values);
    const list = [...vhosts].map(([name, { description, tags }]) => ({ name, description, tags }));
    if (values['json'] === true) terminal.out(JSON.stringify(list));
    else for (const { name, description } of list) terminal.out(`${name} ${description}`.trimEnd());
    return 0;
  },
};

export const VHOST_COMMANDS: readonly Command[] = [vhostAdd, vhostDelete, vhostList];
