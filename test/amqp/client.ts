import { type Channel, type ChannelModel, connect, type Message, type Options } from 'amqplib';

/** Connected to a server on this port, with errors left to those who wait for them. */
export async function clientOf(port: number): Promise<ChannelModel> {
  const client = await connect(`amqp://127.0.0.1:${port}`);
  client.on('error', () => {});
  return client;
}

export async function channelOf(client: ChannelModel): Promise<Channel> {
  const channel = await client.createChannel();
  channel.on('error', () => {});
  return channel;
}

/** What the server closes with, the channel or the connection: `channel PRECONDITION_FAILED - …`. */
export async function refusalOf(
  client: ChannelModel,
  operation: (on: Channel) => Promise<unknown> | void,
): Promise<string> {
  const on = await channelOf(client);
  const closed = new Promise<string>((resolve) => {
    const told = (what: string) => (error: Error) =>
      resolve(`${what} ${/"(.*)"$/s.exec(error.message)?.[1] ?? error.message}`);
    on.once('error', told('channel'));
    client.once('error', told('connection'));
  });
  await Promise.resolve(operation(on)).catch(() => {});
  return closed;
}

/** Publishes, mandatory, and resolves with what came back, or undefined when it was routed. */
export async function returnedOf(
  channel: Channel,
  exchange: string,
  key: string,
  options: Options.Publish = {},
): Promise<Message | undefined> {
  let returned: Message | undefined;
  const take = (message: Message): void => {
    returned = message;
  };
  channel.on('return', take);
  channel.publish(exchange, key, Buffer.from('m'), { ...options, mandatory: true });
  // Answered after all that came before it.
  await channel.checkExchange('amq.topic');
  channel.off('return', take);
  return returned;
}
