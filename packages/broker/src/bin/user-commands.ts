import { hashPassword } from '../auth/password.js';
import { BrokerError } from '../errors.js';
import type { Command, Terminal } from './command.js';
import { JSON_OPTION } from './command.js';
import {
  change,
  CHANGES_HELP,
  DATA_OPTION,
  READS_HELP,
  registryIn,
  textIn,
  type Values,
} from './data-directory.js';

const PASSWORD_OPTIONS = { ...DATA_OPTION, 'password-stdin': { type: 'boolean' } } as const;
const PASSWORD_HELP =
  'Asks for the password, or takes it from the first line of the standard input with --password-stdin.';

const userAdd: Command = {
  name: 'user add',
  parameters: ['NAME'],
  options: { ...PASSWORD_OPTIONS, tags: { type: 'string' } },
  summary: 'adds a user',
  help: `${PASSWORD_HELP} --tags administrator,monitoring. The user may do nothing until \`nestmq permission set\`. With the first user, guest is gone. ${CHANGES_HELP}`,
  async run({ positionals: [name = ''], values }, terminal) {
    const password = await passwordFrom(values, terminal);
    const tags = listIn(textIn(values, 'tags'));
    await change(values, async ({ registry }) => {
      if (registry.users.has(name)) throw refused(`There is a user '${name}' already.`);
      registry.setUser(name, { tags, ...(await hashPassword(password)) });
    });
    return 0;
  },
};

const userPasswd: Command = {
  name: 'user passwd',
  parameters: ['NAME'],
  options: PASSWORD_OPTIONS,
  summary: "changes a user's password",
  help: `${PASSWORD_HELP} ${CHANGES_HELP}`,
  async run({ positionals: [name = ''], values }, terminal) {
    const password = await passwordFrom(values, terminal);
    await change(values, async ({ registry }) => {
      const user = registry.users.get(name);
      if (user === undefined) throw refused(`There is no user '${name}'.`);
      registry.setUser(name, { ...user, ...(await hashPassword(password)) });
    });
    return 0;
  },
};

const userDelete: Command = {
  name: 'user delete',
  parameters: ['NAME'],
  options: DATA_OPTION,
  summary: 'deletes a user, with all permissions',
  help: CHANGES_HELP,
  async run({ positionals: [name = ''], values }) {
    await change(values, ({ registry }) => registry.deleteUser(name));
    return 0;
  },
};

const userList: Command = {
  name: 'user list',
  parameters: [],
  options: { ...DATA_OPTION, ...JSON_OPTION },
  summary: 'lists the users and their tags',
  help: READS_HELP,
  async run({ values }, terminal) {
    const { users } = await registryIn(values);
    const list = [...users].map(([name, { tags }]) => ({ name, tags }));
    if (values['json'] === true) terminal.out(JSON.stringify(list));
    else for (const { name, tags } of list) terminal.out(`${name} [${tags.join(', ')}]`);
    return 0;
  },
};

export const USER_COMMANDS: readonly Command[] = [userAdd, userPasswd, userDelete, userList];

/** Never from the arguments: everybody on the machine sees those. */
async function passwordFrom(values: Values, terminal: Terminal): Promise<string> {
  const fromInput = values['password-stdin'] === true;
  const password = fromInput
    ? (await terminal.input()).split(/\r?\n/)[0]
    : await terminal.askSecretly('Password: ');
  if (password === undefined) throw refused('Nobody is there to be asked: give --password-stdin.');
  if (password === '') throw refused('The password is empty.');
  if (!fromInput && (await terminal.askSecretly('Again: ')) !== password)
    throw refused('The two passwords differ.');
  return password;
}

function listIn(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function refused(what: string): BrokerError {
  return new BrokerError('INVALID_DEFINITION', what);
}
