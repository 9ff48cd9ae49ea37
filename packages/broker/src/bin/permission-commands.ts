import { DEFAULT_VHOST } from '../definitions/registry.js';
import { permissionEntries, topicPermissionEntries } from '../management/definitions-export.js';
import { type Command, JSON_OPTION } from './command.js';
import {
  change,
  CHANGES_HELP,
  DATA_OPTION,
  READS_HELP,
  registryIn,
  textIn,
  type Values,
} from './data-directory.js';

export const VHOST_OPTION = { vhost: { type: 'string' } } as const;
const OPTIONS = { ...DATA_OPTION, ...VHOST_OPTION };
const PATTERNS_HELP = 'Regular expressions match anywhere unless anchored; an empty one matches no name.';

const permissionSet: Command = {
  name: 'permission set',
  parameters: ['USER', 'CONFIGURE', 'WRITE', 'READ'],
  options: OPTIONS,
  summary: 'says what a user may declare, write to and read from in a vhost',
  help: `Three regular expressions for names of queues and exchanges. ${PATTERNS_HELP} --vhost is / unless given. ${CHANGES_HELP}`,
  async run({ positionals: [user = '', configure = '', write = '', read = ''], values }) {
    await change(values, ({ registry }) =>
      registry.setPermission(user, vhostIn(values), { configure, write, read }),
    );
    return 0;
  },
};

const permissionClear: Command = {
  name: 'permission clear',
  parameters: ['USER'],
  options: OPTIONS,
  summary: "takes a user's permissions in a vhost away",
  help: `Topic permissions too. --vhost is / unless given. ${CHANGES_HELP}`,
  async run({ positionals: [user = ''], values }) {
    await change(values, ({ registry }) => registry.clearPermission(user, vhostIn(values)));
    return 0;
  },
};

const permissionList: Command = {
  name: 'permission list',
  parameters: [],
  options: { ...DATA_OPTION, ...JSON_OPTION },
  summary: 'lists all permissions',
  help: READS_HELP,
  async run({ values }, terminal) {
    const registry = await registryIn(values);
    const own = permissionEntries(registry);
    const topics = topicPermissionEntries(registry);
    if (values['json'] === true) terminal.out(JSON.stringify({ permissions: own, topicPermissions: topics }));
    else {
      for (const { user, vhost, configure, write, read } of own)
        terminal.out(`${user} in ${vhost}: configure '${configure}', write '${write}', read '${read}'`);
      for (const { user, vhost, exchange, write, read } of topics)
        terminal.out(`${user} in ${vhost}, topics of ${exchange}: write '${write}', read '${read}'`);
    }
    return 0;
  },
};

const topicPermissionSet: Command = {
  name: 'topic-permission set',
  parameters: ['USER', 'EXCHANGE', 'WRITE', 'READ'],
  options: OPTIONS,
  summary: 'says with which routing keys a user may publish to, and bind, a topic exchange',
  help: `Two regular expressions for routing keys, in which {username} and {vhost} stand for these. ${PATTERNS_HELP} --vhost is / unless given. ${CHANGES_HELP}`,
  async run({ positionals: [user = '', exchange = '', write = '', read = ''], values }) {
    await change(values, ({ registry }) =>
      registry.setTopicPermission(['topic-permission', user, vhostIn(values), exchange], { write, read }),
    );
    return 0;
  },
};

const topicPermissionClear: Command = {
  name: 'topic-permission clear',
  parameters: ['USER'],
  options: { ...OPTIONS, exchange: { type: 'string' } },
  summary: "takes a user's topic permissions in a vhost away",
  help: `Of one --exchange, or of all. --vhost is / unless given. ${CHANGES_HELP}`,
  async run({ positionals: [user = ''], values }) {
    await change(values, ({ registry }) =>
      registry.clearTopicPermissions(user, vhostIn(values), textIn(values, 'exchange')),
    );
    return 0;
  },
};

export const PERMISSION_COMMANDS: readonly Command[] = [
  permissionSet,
  permissionClear,
  permissionList,
  topicPermissionSet,
  topicPermissionClear,
];

export function vhostIn(values: Values): string {
  return textIn(values, 'vhost') ?? DEFAULT_VHOST;
}
