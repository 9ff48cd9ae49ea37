import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { temporaryDirectory } from '../integration/app.js';
import { orWithoutRegistry, QUIET_NPM, run } from './install.js';
import { Started, tourOf } from './tour.js';

const { path, remove } = temporaryDirectory();
const cloned = join(path, 'nestmq');
const application = join(path, 'my-app');
const tour = tourOf(readFileSync('README.md', 'utf8'));

/** As somebody types it, but that npm asks no registry for what it has. */
async function type(commands: string, cwd: string): Promise<string> {
  const { stdout } = await run('sh', ['-ec', commands], { cwd, env: { ...process.env, ...QUIET_NPM } });
  return stdout;
}

/** A directory beside that of the application, in which `npm run pack` packs what this project is. */
function standInForTheClone(): void {
  mkdirSync(cloned);
  const pack = `node ${resolve('tools/pack.mjs')} --built packs`;
  writeFileSync(join(cloned, 'package.json'), JSON.stringify({ scripts: { pack } }));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

describe('the tour of the README, in an empty directory with the packed packages', () => {
  afterAll(remove);

  it('goes as it is printed: the letter is written after kill -9, and finished after Ctrl-C', async () => {
    standInForTheClone();
    if (!(await orWithoutRegistry('the tour', () => type(tour.prepare, cloned)))) return;
    writeFileSync(join(application, 'main.ts'), tour.application);
    expect(await type(tour.compile, application)).toBe('');

    const port = String(await freePort());
    const first = new Started(tour.start, application, { PORT: port });
    await first.until('application successfully started');
    const signUp = tour.signUp.replace('localhost:3000', `localhost:${port}`);
    expect(signUp).not.toBe(tour.signUp);
    expect(await type(signUp, application)).toBe('{"queued":"ada@example.org"}');
    await first.until('writing to ada@example.org');
    // Of this process's children only: others on this machine may be called so too.
    await type(`${tour.kill} -P ${process.pid}`, application);
    expect(await first.ended()).toBe('SIGKILL');

    const second = new Started(tour.start, application, { PORT: port });
    await second.until('writing to ada@example.org');
    second.signal('SIGINT');
    await second.until('wrote to ada@example.org');
    expect(await second.ended()).toBe('SIGINT');
    expect(await type('npx nestmq check data/mq', application)).toMatch(/data\/mq: sound\n/);
  }, 120_000);
});
