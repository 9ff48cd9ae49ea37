import { RawConnection } from './raw-amqp.js';

/** The most channels that servers agree to on one connection. */
const CHANNELS_PER_CONNECTION = 2000;
const AT_ONCE = 50;
const HEARTBEAT_SECONDS = 600;

let port = 0;
/** On a connection of its own, with channel 1 open. */
let owner: RawConnection;
let connections: RawConnection[] = [];
let held = { channels: 0, queues: 0, consumers: 0 };

/** Each holds so many of a kind from then on, those that it held before among them. */
export const idleCommands = {
  async start(on: number): Promise<void> {
    port = on;
    owner = await RawConnection.open(port);
    connections = [];
    held = { channels: 0, queues: 0, consumers: 0 };
  },

  async connections(count: number): Promise<void> {
    while (connections.length < count) {
      const some = Math.min(AT_ONCE, count - connections.length);
      const opened = Array.from({ length: some }, () => RawConnection.handshake(port, HEARTBEAT_SECONDS));
      connections.push(...(await Promise.all(opened)));
    }
  },

  async channels(count: number): Promise<void> {
    for (; held.channels < count; held.channels++) {
      const connection = connections[Math.floor(held.channels / CHANNELS_PER_CONNECTION)] as RawConnection;
      await connection.openChannel(1 + (held.channels % CHANNELS_PER_CONNECTION));
    }
  },

  async queues(count: number): Promise<void> {
    for (; held.queues < count; held.queues++) await owner.declare(`idle.${held.queues}`);
  },

  /** One for each queue. */
  async consumers(count: number): Promise<void> {
    for (; held.consumers < count; held.consumers++)
      await owner.subscribe(`idle.${held.consumers}`, `c${held.consumers}`);
  },

  async end(): Promise<void> {
    await Promise.all([owner, ...connections].map((connection) => connection.close()));
  },
};
