import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const swc = JSON.parse(readFileSync(new URL('.swcrc', import.meta.url), 'utf8'));

/** Packages are mapped to their sources, so that tests need no build. */
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { ...swc, swcrc: false }] },
  moduleNameMapper: {
    '^@nestmq/testing/jest$': '<rootDir>/packages/testing/src/jest.ts',
    '^@nestmq/broker/store-contract$': '<rootDir>/packages/broker/src/store/contract/store-contract.ts',
    '^@nestmq/transport/link-contract$': '<rootDir>/packages/transport/src/links/contract/link-contract.ts',
    '^@nestmq/([^/]+)$': '<rootDir>/packages/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/.*/dist/'],
};

const project = (displayName, ...testMatch) => ({ ...common, displayName, testMatch });

export default {
  coverageProvider: 'v8',
  testTimeout: 30_000,
  // Two at least: on two cores all would be in one process, and take twice as long.
  maxWorkers: Math.max(2, availableParallelism() - 1),
  // What a spec has loaded is kept for good by ES modules in a VM: a worker that has grown is started anew.
  workerIdleMemoryLimit: '700MB',
  projects: [
    project('unit', '<rootDir>/packages/*/src/**/*.spec.ts'),
    project('integration', '<rootDir>/test/integration/**/*.spec.ts'),
    project('amqp', '<rootDir>/test/amqp/**/*.spec.ts'),
    project('conformance', '<rootDir>/test/conformance/**/*.spec.ts'),
    project('crash', '<rootDir>/test/crash/**/*.spec.ts'),
    project('mutation', '<rootDir>/test/mutation/**/*.spec.ts'),
    project('packaging', '<rootDir>/test/packaging/**/*.spec.ts'),
    project('structure', '<rootDir>/test/structure/**/*.spec.ts'),
    project('sample', '<rootDir>/sample/**/*.spec.ts'),
  ],
};
