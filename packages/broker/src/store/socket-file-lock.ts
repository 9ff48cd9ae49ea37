import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import type { Server } from 'node:net';
import * as path from 'node:path';
import { systemCodeOf } from '../errors.js';
import { answers, listen, stopListening } from './local-listener.js';

const NAME = 'broker.sock';

/** A name of this process's own, and the socket that listens there. */
interface Candidate {
  /** The directory, by a path that is short enough for a socket's. */
  readonly at: string;
  readonly own: string;
  readonly inode: bigint;
}

export interface SocketFile {
  /** Idempotent. */
  release(): Promise<void>;
}

/**
 * Makes `broker.sock` in a directory a socket of this process, if nobody listens there; resolves with undefined if
 * somebody does. Of all who try at once exactly one gets it, also where a crash has left a socket without a listener.
 *
 * A candidate listens under a name of its own before that socket gets another one, by link(): so whoever has a name
 * answers, and a name is given once. That is `broker.sock`, or, where nobody answers there, the name of its successor,
 * `broker.sock.INODE`, and so on while the successors do not answer either. Then the candidate looks again, from the
 * start: when all before it are dead, it is the owner. All others come upon it, and give up. It takes `broker.sock` by
 * rename, and only then removes the successors' names: who has seen the old ones finds, when it looks again, the new owner.
 *
 * `at` is the directory as well, by a path that is short enough for a socket's.
 */
export async function acquireSocketFile(at: string, directory: string): Promise<SocketFile | undefined> {
  const own = `${at}/broker-${process.pid}-${randomBytes(4).toString('hex')}.sock`;
  const server = await listen(own);
  try {
    const candidate = { at, own, inode: (await fs.stat(own, { bigint: true })).ino };
    if (await isLastStanding(candidate)) {
      await takeName(candidate);
      return { release: () => release(directory, candidate.inode, server) };
    }
  } catch (error) {
    await fs.rm(own, { force: true });
    await stopListening(server);
    throw error;
  }
  // A successor's name that it may have is one without a listener from now on, and is removed by the owner.
  await fs.rm(own, { force: true });
  await stopListening(server);
  return undefined;
}

/** Whether all who had the name are dead, and this candidate comes next. False when somebody is alive. */
async function isLastStanding({ at, own, inode }: Candidate): Promise<boolean> {
  for (;;) {
    const last = await lastOfLine(at, inode);
    if (last === 'own') return true;
    if (last === 'alive') return false;
    // Who is first has it; whoever that is, it is looked for again.
    await fs.link(own, last.free).catch((error: unknown) => {
      if (systemCodeOf(error) !== 'EEXIST') throw error;
    });
  }
}

/** Follows the line of those who had the name: to the first that is alive, to this candidate, or to a free place. */
async function lastOfLine(
  at: string,
  ownInode: bigint,
): Promise<'alive' | 'own' | { readonly free: string }> {
  let name = `${at}/${NAME}`;
  for (;;) {
    const inode = await inodeOf(name);
    if (inode === undefined) return { free: name };
    if (inode === ownInode) return 'own';
    if (await answers(name)) return 'alive';
    // Else somebody else has it by now, who may have answered before.
    if ((await inodeOf(name)) === inode) name = `${at}/${NAME}.${inode.toString(36)}`;
  }
}

/** Only the owner does that: nobody else takes names away. */
async function takeName({ at, own, inode }: Candidate): Promise<void> {
  const name = `${at}/${NAME}`;
  try {
    // Of two names of one file a rename would leave both.
    if ((await inodeOf(name)) === inode) await fs.unlink(own);
    else await fs.rename(own, name);
  } finally {
    await removeSuccessors(at);
  }
}

/** Also those of candidates that have come too late, and given up. */
async function removeSuccessors(directory: string): Promise<void> {
  for (const other of await fs.readdir(directory)) {
    if (other.startsWith(`${NAME}.`)) await fs.rm(path.join(directory, other), { force: true });
  }
}

async function release(directory: string, inode: bigint, server: Server): Promise<void> {
  const name = path.join(directory, NAME);
  if ((await inodeOf(name)) === inode) {
    await removeSuccessors(directory);
    await fs.rm(name, { force: true });
  }
  await stopListening(server);
}

/** Undefined where there is no file. */
async function inodeOf(file: string): Promise<bigint | undefined> {
  try {
    return (await fs.stat(file, { bigint: true })).ino;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
