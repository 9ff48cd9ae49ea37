import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { CONSUMER } from './consumer.js';

export const MODULE_KINDS = ['esm', 'commonjs'] as const;
export type ModuleKind = (typeof MODULE_KINDS)[number];

export const run = promisify(execFile);
const PACKAGES = ['broker', 'transport', 'testing'];
/** What npm says where there is no way to a registry, and not all is in its cache. */
const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED/;
/** For npm's environment: it asks no registry for what it has. One try: where there is no registry, there is none later. */
export const QUIET_NPM = {
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_loglevel: 'error',
  npm_config_fetch_retries: '0',
};

/** Packs what would be published, as it was built, into the directory. */
export async function pack(directory: string): Promise<void> {
  await run('node', ['tools/pack.mjs', '--built', directory]);
}

/**
 * Makes a directory of an application that has installed the packed packages beside a version of Nest, as a user does.
 * Resolves with false where npm finds no registry, as {@link orWithoutRegistry} does.
 */
export async function install(directory: string, packs: string, nest: string): Promise<boolean> {
  write(directory, packs, nest);
  return installed(directory, `what installs the packages beside Nest ${nest}`);
}

/** Installs what the directory's package.json says; resolves as {@link orWithoutRegistry} does. */
export async function installed(directory: string, what: string): Promise<boolean> {
  return orWithoutRegistry(what, () =>
    run('npm', ['install'], {
      cwd: directory,
      env: { ...process.env, ...QUIET_NPM },
      shell: process.platform === 'win32',
    }),
  );
}

/**
 * Resolves with true when what installs packages has done so, and with false, after a line that says what is skipped, where
 * npm finds no registry; with CI=true that is an error.
 */
export async function orWithoutRegistry(what: string, installs: () => Promise<unknown>): Promise<boolean> {
  try {
    await installs();
    return true;
  } catch (error) {
    const { stderr } = error as { stderr: string };
    if (process.env['CI'] === 'true' || !NO_REGISTRY.test(stderr)) throw error;
    process.stderr.write(`npm finds no registry: ${what} is skipped.\n`);
    return false;
  }
}

function write(directory: string, packs: string, nest: string): void {
  const json = (file: string, value: unknown): void =>
    writeFileSync(join(directory, file), JSON.stringify(value));
  for (const kind of MODULE_KINDS) mkdirSync(join(directory, kind), { recursive: true });
  json('package.json', { private: true, dependencies: dependencies(packs, nest) });
  json('tsconfig.json', tsconfig('*/app.ts'));
  json('esm/package.json', { type: 'module' });
  json('commonjs/package.json', { type: 'commonjs' });
  for (const kind of MODULE_KINDS) writeFileSync(join(directory, kind, 'app.ts'), CONSUMER);
}

/** The packed packages, a version of Nest, and what both need. */
export function dependencies(packs: string, nest: string): Record<string, string> {
  const ours = PACKAGES.map((name) => [`@nestmq/${name}`, `file:${packs}/nestmq-${name}-0.0.0.tgz`]);
  const nests = ['common', 'core', 'microservices'].map((name) => [`@nestjs/${name}`, nest]);
  const others = { 'reflect-metadata': '^0.2.0', rxjs: '^7.8.0', '@types/node': '^20' };
  return { ...Object.fromEntries([...ours, ...nests]), ...others };
}

/** Types are checked in libraries as well, and as strictly as may be: ours must hold on each version of Nest. */
export function tsconfig(include: string): object {
  return {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      skipLibCheck: false,
      types: ['node'],
    },
    include: [include],
  };
}

/** Compiles what is there, such as the application of both kinds; rejects with what the compiler says. */
export async function compile(directory: string): Promise<void> {
  try {
    await run('node', [resolve('node_modules/typescript/bin/tsc'), '-p', directory]);
  } catch (error) {
    throw new Error((error as { stdout: string }).stdout, { cause: error });
  }
}

/** Runs it; resolves with what it reports. Rejects when it writes to stderr: a warning is seen by every user. */
export async function start(directory: string, kind: ModuleKind): Promise<Record<string, object>> {
  const { stdout, stderr } = await run('node', [`${kind}/app.js`, `file:./data-${kind}`], { cwd: directory });
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, object>;
}
