import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createServer, type Server } from '@nestmq/broker';
import { pythonWithPika } from '../peers/pika.js';

/** RabbitMQ's first tutorial, in Python, word for word. */
const PRODUCER = `
import pika
connection = pika.BlockingConnection(pika.ConnectionParameters('localhost'))
channel = connection.channel()
channel.queue_declare(queue='hello')
channel.basic_publish(exchange='', routing_key='hello', body='Hello World!')
print(" [x] Sent 'Hello World!'")
connection.close()
`;
const CONSUMER = `
import pika
connection = pika.BlockingConnection(pika.ConnectionParameters('localhost'))
channel = connection.channel()
channel.queue_declare(queue='hello')
def callback(ch, method, properties, body):
    print(" [x] Received %r" % body)
channel.basic_consume(queue='hello', auto_ack=True, on_message_callback=callback)
print(' [*] Waiting for messages. To exit press CTRL+C')
channel.start_consuming()
`;
/** Put before a program, which names no port, so that it finds a server on any port. */
const onPort = (port: number): string => `import pika; pika.ConnectionParameters.DEFAULT_PORT = ${port}\n`;

const python = pythonWithPika();
let server: Server;
beforeAll(async () => {
  server = await createServer({ port: 0 });
});
afterAll(() => server.close());

/** Resolves with the output, once it ends or \`until\` is in it. */
function run(program: string, until?: string): Promise<string> {
  const child = spawn(python ?? '', ['-u', '-c', onPort(server.port) + program]);
  return new Promise((resolve) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (until !== undefined && output.includes(until)) child.kill('SIGKILL');
      });
    }
    child.once('close', () => resolve(output));
  });
}

it('the tutorial of RabbitMQ works unchanged', async () => {
  if (python === undefined) return;
  expect(await run(PRODUCER)).toBe(" [x] Sent 'Hello World!'\n");
  expect(await run(CONSUMER, "World!'\n")).toBe(
    " [*] Waiting for messages. To exit press CTRL+C\n [x] Received b'Hello World!'\n",
  );
});
