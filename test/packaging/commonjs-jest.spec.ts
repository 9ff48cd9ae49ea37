import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { temporaryDirectory } from '../integration/app.js';
import { orWithoutRegistry, pack, QUIET_NPM, run } from './install.js';

const { path, remove } = temporaryDirectory();
const packs = join(path, 'packs');
const application = join(path, 'app');

/** What `nest new` of Nest 11 writes, but for what emits. */
const TSCONFIG = {
  module: 'nodenext',
  moduleResolution: 'nodenext',
  resolvePackageJsonExports: true,
  esModuleInterop: true,
  isolatedModules: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  target: 'ES2023',
  strictNullChecks: true,
  noImplicitAny: false,
};
/** The older of its configurations, which knows no `exports` of a package. */
const NODE10 = { module: 'commonjs', moduleResolution: 'node10', resolvePackageJsonExports: false };
/** Version 5, since 7 has no such resolution; and the one of this project, which takes a tenth of the time. */
const INSTALLED_TSC = 'node_modules/typescript/bin/tsc';
const OUR_TSC = resolve(INSTALLED_TSC);
const JEST = { moduleFileExtensions: ['js', 'json', 'ts'], rootDir: 'src', testRegex: '.*\\.spec\\.ts$' };

const TEST = `import { Controller, Injectable } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness, TestBroker } from '@nestmq/testing';
import '@nestmq/testing/jest';
import { QueueModule } from '@nestmq/transport';

@Injectable()
class Mail {
  readonly written: string[] = [];
}

@Controller()
class Signup {
  constructor(private readonly mail: Mail) {}
  @EventPattern('user.signed-up')
  welcome(@Payload() user: { email: string }) {
    this.mail.written.push(user.email);
  }
}

describe('signup', () => {
  it('writes a letter', async () => {
    const imports = [QueueModule.forRoot({ url: 'file:./data/mq' })];
    const builder = Test.createTestingModule({ imports, controllers: [Signup], providers: [Mail] });
    const harness = await QueueTestHarness.start(builder);
    await harness.emit('user.signed-up', { email: 'ada@example.org' });
    await expect(harness).toHaveConsumed('user.signed-up', { email: 'ada@example.org' });
    expect(harness.module.get(Mail).written).toEqual(['ada@example.org']);
    await harness.close();
    const broker = await TestBroker.start({ listen: true });
    await broker.stop();
  });
});
`;

/** The lines that the README of the testing package adds to Jest's configuration. */
function fromReadme(): object {
  const readme = readFileSync('packages/testing/README.md', 'utf8');
  const [, json = ''] = /commonjs-jest\.spec\.ts runs with -->\n\n```text\n(.*?)```/s.exec(readme) ?? [];
  return JSON.parse(json) as object;
}

function write(file: string, value: unknown): void {
  writeFileSync(join(application, file), typeof value === 'string' ? value : JSON.stringify(value));
}

async function install(): Promise<void> {
  const ours = ['broker', 'transport', 'testing'].map((name) => `${packs}/nestmq-${name}-0.0.0.tgz`);
  const nests = ['common', 'core', 'microservices', 'testing'].map((name) => `@nestjs/${name}@11`);
  const tools = [
    'typescript@5',
    'jest@30',
    'ts-jest@29',
    '@types/jest@30',
    '@types/node@20',
    '@swc/jest',
    '@swc/core',
  ];
  const others = ['reflect-metadata', 'rxjs', ...tools];
  const env = { ...process.env, ...QUIET_NPM };
  await run('npm', ['install', ...ours, ...nests, ...others], { cwd: application, env });
}

/** What a compiler says; nothing when all is well. */
async function typeErrors(tsc: string, options: object): Promise<string> {
  write('tsconfig.json', { compilerOptions: { ...TSCONFIG, noEmit: true, ...options }, include: ['src'] });
  return run('node', [tsc], { cwd: application }).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
}

describe('a CommonJS application of Nest 11, tested with Jest and its globals', () => {
  afterAll(remove);

  it('compiles with either resolution of modules, and runs with what the README adds to its configuration', async () => {
    mkdirSync(join(application, 'src'), { recursive: true });
    write('package.json', { private: true });
    write('jest.config.json', { ...JEST, ...fromReadme() });
    write('src/signup.spec.ts', TEST);
    await pack(packs);
    if (!(await orWithoutRegistry('the CommonJS application', install))) return;
    expect(await typeErrors(INSTALLED_TSC, { ...NODE10, skipLibCheck: true })).toBe('');
    expect(await typeErrors(OUR_TSC, { types: ['jest', 'node'] })).toBe('');
    const { stderr } = await run('npx', ['jest', '-c', 'jest.config.json'], { cwd: application });
    expect(stderr).toContain('Tests:       1 passed, 1 total');
  }, 120_000);
});
