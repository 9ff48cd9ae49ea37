// A session with amqplib; clients.spec.ts says what it has to print. The port is the argument.
import { connect } from 'amqplib';

const say = (...words) => process.stdout.write(`${words.join(' ')}\n`);

const connection = await connect(`amqp://guest:guest@127.0.0.1:${process.argv[2]}`);
const channel = await connection.createConfirmChannel();
await channel.assertExchange('events', 'topic', { durable: true });
const { queue, messageCount, consumerCount } = await channel.assertQueue('jobs', { durable: true });
say(`declared ${queue}: ${messageCount} messages, ${consumerCount} consumers`);
await channel.bindQueue('jobs', 'events', 'job.*');

for (const [i, body] of ['one', 'two', 'three'].entries()) {
  const options = { persistent: true, mandatory: true, headers: { n: i + 1 } };
  channel.publish('events', 'job.new', Buffer.from(body), options);
}
await channel.waitForConfirms();
say('confirmed 3');
channel.on('return', ({ content, fields }) =>
  say(`returned ${content}: ${fields.replyCode} ${fields.replyText}`),
);
channel.publish('events', 'nobody', Buffer.from('lost'), { mandatory: true });
await channel.waitForConfirms();

await channel.prefetch(3);
const received = [];
await new Promise((resolve) => {
  void channel.consume('jobs', (message) => received.push(message) === 3 && resolve(), { consumerTag: 'c' });
});
await channel.cancel('c');
say('received', ...received.map(({ content, properties }) => `${content}=${properties.headers.n}`));
channel.ack(received[1], true);
channel.nack(received[2], false, true);
const got = await channel.get('jobs');
say(`got ${got.content}, redelivered: ${got.fields.redelivered}`);
channel.ack(got);
say('left', (await channel.deleteQueue('jobs')).messageCount);
await channel.deleteExchange('events');

channel.on('error', () => {});
const refused = await channel.checkQueue('jobs').catch((error) => error);
say('refused', refused.code, /"(.*)"/.exec(refused.message)[1]);
await connection.close();
say('closed');
