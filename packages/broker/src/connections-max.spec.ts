import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect, it } from '@jest/globals';
import { connectionsMax, openFilesMax, shareConnections } from './connections-max.js';
import { LIMITS } from './limits.js';
import { listen, portOf } from './listeners.js';

it.each([
  [1_000_000, LIMITS.connectionsMax],
  [1024, 1024 - LIMITS.reservedFiles],
  [100, 50],
  [undefined, LIMITS.connectionsMax],
])('of %s files that may be open so many may be connections: %s', (files, connections) => {
  expect(connectionsMax(files)).toBe(connections);
});

it('the system tells how many files may be open, or nothing', () => {
  expect([undefined, expect.any(Number)]).toContainEqual(openFilesMax());
});

it('listeners share the connections that there may be, and those that are too many are closed', async () => {
  const servers: Server[] = [createServer(), createServer()];
  shareConnections(servers, 3);
  for (const server of servers) await listen(server, '127.0.0.1', 0);
  const [one, other] = servers as [Server, Server];
  const open: Socket[] = [];
  const attempt = (server: Server): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(portOf(server), '127.0.0.1');
      open.push(socket);
      server.once('connection', () => resolve('served'));
      server.once('drop', () => resolve('closed'));
    });
  for (const server of [one, one, other]) expect(await attempt(server)).toBe('served');
  expect(await attempt(one)).toBe('closed');
  expect(await attempt(other)).toBe('closed');
  const gone = new Promise((resolve) => one.getConnections(() => resolve(undefined)));
  open[0]?.destroy();
  await gone;
  while ((await attempt(other)) === 'closed') await new Promise(setImmediate);
  for (const socket of open) socket.destroy();
  for (const server of servers) server.close();
});
