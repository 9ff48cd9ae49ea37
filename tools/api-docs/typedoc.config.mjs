import { OptionDefaults } from 'typedoc';

/** Of a test runner, which has its own words for them. */
const OF_A_RUNNER = {
  ContractRunner: ['describe', 'beforeAll', 'afterEach', 'afterAll'],
  ContractIt: ['skip'],
  ContractExpect: ['any', 'stringMatching', 'objectContaining'],
  ContractMatchers: [
    'toBe',
    'toBeUndefined',
    'toBeInstanceOf',
    'toBeGreaterThan',
    'toBeGreaterThanOrEqual',
    'toContain',
    'toEqual',
    'toHaveLength',
    'toMatchObject',
    'toThrow',
  ],
};
const ofARunner = Object.entries(OF_A_RUNNER).flatMap(([name, members]) =>
  members.map((member) => `transport/src/links/contract/link-contract.${name}.${member}`),
);

/** The API reference. What it warns of is an error: a link that leads nowhere, an export without its words. */
export default {
  name: 'nestmq',
  tsconfig: 'tsconfig.json',
  entryPoints: [
    '../../packages/transport/src/index.ts',
    '../../packages/transport/src/links/contract/link-contract.ts',
    '../../packages/testing/src/index.ts',
    '../../packages/testing/src/jest.ts',
    '../../packages/testing/src/vitest.ts',
    '../../packages/broker/src/index.ts',
    '../../packages/broker/src/store/contract/store-contract.ts',
  ],
  sortEntryPoints: false,
  readme: 'front-page.md',
  out: '../../docs/api',
  modifierTags: [...OptionDefaults.modifierTags, '@publicApi'],
  excludeTags: ['@publicApi'],
  excludePrivate: true,
  excludeProtected: true,
  excludeInternal: true,
  excludeExternals: true,
  disableSources: true,
  treatWarningsAsErrors: true,
  validation: { invalidLink: true, invalidPath: true, notExported: true, notDocumented: true },
  // Members may say all by their names and types; what is exported may not.
  requiredToBeDocumented: ['Class', 'Enum', 'Function', 'Interface', 'TypeAlias', 'Variable'],
  // What is asked of Nest's classes and of prom-client's registry: these are their own words.
  intentionallyNotDocumented: [
    '@nestmq/testing.ModuleUnderTest.createNestMicroservice',
    '@nestmq/testing.ModuleUnderTest.createNestMicroservice.__type.listen',
    '@nestmq/testing.ModuleUnderTest.get',
    '@nestmq/testing.RunningApplication.close',
    '@nestmq/testing.TestingBuilder.compile',
    '@nestmq/testing.TestingBuilder.overrideProvider',
    '@nestmq/testing.TestingBuilder.overrideProvider.__type.useFactory',
    '@nestmq/transport.PromRegistry.getSingleMetric',
    '@nestmq/transport.PromRegistry.registerMetric',
    ...ofARunner,
  ],
  packagesRequiringDocumentation: ['@nestmq/broker', '@nestmq/testing', '@nestmq/transport'],
};
