import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const SOURCE = 'packages/transport/src';
const LINK_CONTRACT = `${SOURCE}/links/contract/link-contract.ts`;
const STORE_CONTRACT = 'packages/broker/src/store/contract/store-contract.ts';
const RUNNER = 'packages/broker/src/contract-runner.ts';

/** What the index exports, with the file that it is in. */
const exported = [
  ...readFileSync(`${SOURCE}/index.ts`, 'utf8').matchAll(
    /export (?:type )?\{([^}]*)\} from '\.\/([^']+)\.js'/g,
  ),
].flatMap(([, names = '', file = '']) =>
  names
    .split(',')
    .map((name) => name.replace(/\btype\b|\bas\b.*/g, '').trim())
    .filter((name) => name !== '')
    .map((name) => [name, `${SOURCE}/${file}.ts`] as const),
);

/** Exported by paths of their own. */
const ofContracts = [
  ...['linkContract', 'LinkContractOptions', 'LinkHome', 'LinkFeature'].map(
    (name) => [name, LINK_CONTRACT] as const,
  ),
  ...['storeContract', 'StoreContractOptions', 'StorePlace', 'StoreFeature'].map(
    (name) => [name, STORE_CONTRACT] as const,
  ),
  ...['ContractRunner', 'ContractIt', 'ContractExpect', 'ContractMatchers'].map(
    (name) => [name, RUNNER] as const,
  ),
];

/** The comment before what is exported, and what stands between. */
function documentation(name: string, file: string): { doc: string; between: string } {
  const text = readFileSync(file, 'utf8');
  const [before = ''] = text.split(
    new RegExp(`^export (?:class|interface|type|function|const|async function) ${name}\\b`, 'm'),
  );
  const [doc = '', between = ''] = before.slice(before.lastIndexOf('/**')).split('*/\n');
  return { doc, between };
}

describe('what is public', () => {
  it.each([...exported, ...ofContracts])('is said of %s, which %s has, and what it is', (name, file) => {
    const { doc, between } = documentation(name, file);
    expect(doc).toContain('@publicApi');
    expect(doc).toMatch(/\w+ \w+ \w+/);
    // Nothing but decorators and a remark may stand between.
    expect(between.replaceAll(/^(?:@|\/\/).*\n/gm, '')).toBe('');
  });

  it('of contracts is all that they export, but for what their own parts need', () => {
    const named = (file: string): string[] =>
      [...readFileSync(file, 'utf8').matchAll(/^export (?:type|interface|function) (\w+)/gm)].map(
        ([, name]) => String(name),
      );
    const inner = new Set(['LinkContract', 'StoreContract', 'TimedIt', 'timedIt']);
    const all = [LINK_CONTRACT, STORE_CONTRACT, RUNNER].flatMap(named);
    const isPublic = all.filter((name) => !inner.has(name)).toSorted();
    expect(isPublic).toEqual(ofContracts.map(([name]) => name).toSorted());
  });
});
