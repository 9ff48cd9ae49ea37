import { type Channel, connect, type ConsumeMessage } from 'amqplib';
import { header, method, METHOD, publish, type RawFrame, ScriptedClient } from './server.js';

/** Something that a client does; what came of it, in words, is to be the same from any server. */
export type Session = (port: number) => Promise<string[]>;

async function withChannel(port: number, use: (channel: Channel) => Promise<string[]>): Promise<string[]> {
  const connection = await connect(`amqp://127.0.0.1:${port}`);
  try {
    return await use(await connection.createChannel());
  } finally {
    await connection.close();
  }
}

/** The next messages of a queue, as they come. */
async function consumed(channel: Channel, queue: string, count: number): Promise<string[]> {
  const found: string[] = [];
  const { promise, resolve } = deferred();
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message === null) return;
    found.push(told(message));
    channel.ack(message);
    if (found.length === count) resolve();
  });
  await promise;
  await channel.cancel(consumerTag);
  return found;
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

function told({ content, fields, properties }: ConsumeMessage): string {
  const deaths = (properties.headers?.['x-death'] ?? []) as { reason?: string; count?: number }[];
  const events = deaths.map(({ reason, count }) => `${reason} ${count}`);
  return `${content.toString()} from '${fields.exchange}' ${events.join(', ')}`;
}

async function rejectAll(channel: Channel, queue: string, count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    const message = await channel.get(queue);
    if (message === false) throw new Error(`${left} less in '${queue}'`);
    channel.nack(message, false, false);
  }
}

const sure = (exchange: string): object => ({
  durable: true,
  arguments: {
    'x-queue-type': 'quorum',
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
    'x-dead-letter-exchange': exchange,
  },
});

/** Dead letters wait for their exchange and a binding; a purge leaves them. */
const unroutableLetters: Session = (port) =>
  withChannel(port, async (channel) => {
    await channel.assertQueue('letters', sure('letters'));
    for (const body of ['a', 'b', 'c'])
      channel.sendToQueue('letters', Buffer.from(body), { persistent: true });
    await rejectAll(channel, 'letters', 2);
    const { messageCount } = await channel.checkQueue('letters');
    const purged = await channel.purgeQueue('letters');
    await channel.assertExchange('letters', 'fanout');
    await channel.assertQueue('dead');
    await channel.bindQueue('dead', 'letters', '');
    const found = await consumed(channel, 'dead', 2);
    const deleted = await channel.deleteQueue('letters');
    return [
      `${messageCount} ready, ${purged.messageCount} purged, ${deleted.messageCount} deleted`,
      ...found,
    ];
  });

/** A letter goes to one queue, and to the other when that has room; to none twice. */
const lettersForTwo: Session = (port) =>
  withChannel(port, async (channel) => {
    await channel.assertExchange('two', 'fanout');
    await channel.assertQueue('source', sure('two'));
    await channel.assertQueue('one');
    await channel.assertQueue('full', { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    for (const queue of ['one', 'full']) await channel.bindQueue(queue, 'two', '');
    for (const body of ['a', 'b']) channel.sendToQueue('source', Buffer.from(body), { persistent: true });
    await rejectAll(channel, 'source', 2);
    const first = await consumed(channel, 'one', 2);
    const second = await consumed(channel, 'full', 2);
    const { messageCount } = await channel.checkQueue('one');
    return [...first, ...second, `${messageCount} more`];
  });

const SELECT = method(1, 90, 10);
const COMMIT = method(1, 90, 20);
const NAMES: Readonly<Record<string, string>> = {
  '60.50': 'return',
  '90.11': 'selected',
  '90.21': 'committed',
};

/** What is answered to a commit: before it `between` has happened, after a publish to the exchange `x`, or else to the queue. */
async function committed(
  port: number,
  exchange: string,
  between: (channel: Channel) => Promise<unknown>,
): Promise<string[]> {
  return withChannel(port, async (channel) => {
    await channel.assertExchange('x', 'direct');
    await channel.assertQueue('bound');
    await channel.bindQueue('bound', 'x', 'bound');
    const client = await ScriptedClient.open(port);
    client.send(SELECT);
    const answers = [await answerOf(client)];
    for (const key of ['bound', 'unbound']) client.send(publish(1, key, exchange, 1), header(1, 0));
    // It has come when this is answered.
    client.send(method(1, 60, 10, Buffer.alloc(7)));
    await answerOf(client);
    await between(channel);
    client.send(COMMIT);
    while (answers.at(-1) !== 'committed') answers.push(await answerOf(client));
    client.socket.destroy();
    await channel.assertQueue('bound');
    const { messageCount } = await channel.deleteQueue('bound');
    await channel.deleteQueue('unbound');
    await channel.deleteExchange('x');
    return [...answers, `${messageCount} in the queue`];
  });
}

/** The next method that the server sends. */
async function answerOf(client: ScriptedClient): Promise<string> {
  for (;;) {
    const { type, payload } = (await client.next()) as RawFrame;
    if (type !== METHOD) continue;
    const id = `${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`;
    return NAMES[id] ?? id;
  }
}

const declareAgain = async (channel: Channel): Promise<void> => {
  await channel.deleteQueue('bound');
  await channel.assertQueue('bound');
};
const bindTheOther = async (channel: Channel): Promise<void> => {
  await channel.assertQueue('unbound');
  await channel.bindQueue('unbound', 'x', 'unbound');
};

export const SESSIONS: readonly { readonly what: string; readonly session: Session }[] = [
  { what: 'letters that are not routed, at least once', session: unroutableLetters },
  { what: 'letters for a queue that is full and one that is not, at least once', session: lettersForTwo },
  {
    what: 'a transaction whose binding goes',
    session: (port) => committed(port, 'x', (channel) => channel.unbindQueue('bound', 'x', 'bound')),
  },
  { what: 'a transaction whose binding comes', session: (port) => committed(port, 'x', bindTheOther) },
  {
    what: 'a transaction whose exchange goes',
    session: (port) => committed(port, 'x', (channel) => channel.deleteExchange('x')),
  },
  {
    what: 'a transaction whose queue goes',
    session: (port) => committed(port, 'x', (channel) => channel.deleteQueue('bound')),
  },
  { what: 'a transaction whose queue is another', session: (port) => committed(port, 'x', declareAgain) },
  {
    what: 'a transaction with the default exchange, whose queue goes, and another comes',
    session: (port) =>
      committed(port, '', async (channel) => {
        await channel.deleteQueue('bound');
        await channel.assertQueue('unbound');
      }),
  },
];
