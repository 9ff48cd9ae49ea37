import { OptionDefaults } from 'typedoc';

/** The API reference. What it warns of is an error: a link that leads nowhere, an export without its words. */
export default {
  name: 'nestmq',
  tsconfig: 'tsconfig.json',
  entryPoints: [
    '../../packages/transport/src/index.ts',
    '../../packages/testing/src/index.ts',
    '../../packages/testing/src/jest.ts',
    '../../packages/testing/src/vitest.ts',
    '../../packages/broker/src/index.ts',
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
  ],
  packagesRequiringDocumentation: ['@nestmq/broker', '@nestmq/testing', '@nestmq/transport'],
};
