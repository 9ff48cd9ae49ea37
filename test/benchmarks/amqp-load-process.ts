import { idleCommands } from './amqp-idle-load.js';
import { putLoad } from './amqp-load.js';
import { serveCommands } from './remote-process.js';

/** A process of its own for clients of AMQP servers, so that what they cost is not the server's. */
const commands = { putLoad, ...idleCommands };
export type LoadCommands = typeof commands;
serveCommands(commands);
