import type { Policy } from '../definitions/access-definitions.js';
import { BrokerError } from '../errors.js';
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
import { VHOST_OPTION, vhostIn } from './permission-commands.js';

const OPTIONS = { ...DATA_OPTION, ...VHOST_OPTION, operator: { type: 'boolean' } } as const;

const policySet: Command = {
  name: 'policy set',
  parameters: ['NAME', 'PATTERN', 'DEFINITION'],
  options: { ...OPTIONS, priority: { type: 'string' }, 'apply-to': { type: 'string' } },
  summary: 'sets a policy for the queues and exchanges of a vhost whose names match',
  help: `DEFINITION is JSON. --priority is 0 and --apply-to all unless given; --operator sets an operator policy; --vhost is / unless given. ${CHANGES_HELP}`,
  async run({ positionals: [name = '', pattern = '', definition = ''], values }) {
    const policy = policyFrom(pattern, definition, values);
    await change(values, ({ registry }) => {
      if (values['operator'] === true) registry.setOperatorPolicy(vhostIn(values), name, policy);
      else registry.setPolicy(vhostIn(values), name, policy);
    });
    return 0;
  },
};

const policyClear: Command = {
  name: 'policy clear',
  parameters: ['NAME'],
  options: OPTIONS,
  summary: 'takes a policy away',
  help: `--operator: an operator policy. --vhost is / unless given. ${CHANGES_HELP}`,
  async run({ positionals: [name = ''], values }) {
    await change(values, ({ registry }) => {
      if (values['operator'] === true) registry.clearOperatorPolicy(vhostIn(values), name);
      else registry.clearPolicy(vhostIn(values), name);
    });
    return 0;
  },
};

const policyList: Command = {
  name: 'policy list',
  parameters: [],
  options: { ...DATA_OPTION, ...JSON_OPTION },
  summary: 'lists all policies',
  help: READS_HELP,
  async run({ values }, terminal) {
    const { policies, operatorPolicies } = await registryIn(values);
    const list = [...policies, ...operatorPolicies].map(([[kind, vhost, name], policy]) => ({
      name,
      vhost,
      isOperator: kind === 'operator-policy',
      pattern: policy.pattern,
      applyTo: policy.applyTo,
      priority: policy.priority,
      definition: policy.definition,
    }));
    if (values['json'] === true) terminal.out(JSON.stringify(list));
    else
      for (const { name, vhost, isOperator, pattern, applyTo, priority, definition } of list)
        terminal.out(
          `${name} in ${vhost}${isOperator ? ' (operator)' : ''}: '${pattern}', ${applyTo}, priority ${priority}: ${JSON.stringify(definition)}`,
        );
    return 0;
  },
};

export const POLICY_COMMANDS: readonly Command[] = [policySet, policyClear, policyList];

function policyFrom(pattern: string, definition: string, values: Values): Policy {
  const priority = textIn(values, 'priority') ?? '0';
  if (!/^-?\d{1,9}$/.test(priority)) throw invalid(`--priority is '${priority}'.`, 'Give a whole number.');
  return {
    pattern,
    // Checked with the rest, when it is set.
    applyTo: (textIn(values, 'apply-to') ?? 'all') as Policy['applyTo'],
    priority: Number(priority),
    definition: settingsIn(definition),
  };
}

function settingsIn(text: string): Policy['definition'] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Policy['definition'];
  throw invalid(`DEFINITION is '${text}'.`, `Give a JSON object: '{"max-length": 1000}'.`);
}

function invalid(what: string, cure: string): BrokerError {
  return new BrokerError('INVALID_DEFINITION', what, { cure });
}
