# A session with pika (python3-pika); clients.spec.ts says what it has to print. The port is the argument.
import sys

import pika
from pika.exceptions import ChannelClosedByBroker, UnroutableError

connection = pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', int(sys.argv[1])))
channel = connection.channel()
channel.confirm_delivery()
channel.exchange_declare('events', 'topic', durable=True)
declared = channel.queue_declare('jobs', durable=True).method
print(f'declared {declared.queue}: {declared.message_count} messages, {declared.consumer_count} consumers')
channel.queue_bind('jobs', 'events', 'job.*')

for n, body in enumerate(['one', 'two', 'three'], 1):
    properties = pika.BasicProperties(delivery_mode=2, headers={'n': n})
    channel.basic_publish('events', 'job.new', body, properties, mandatory=True)
print('confirmed 3')
try:
    channel.basic_publish('events', 'nobody', 'lost', mandatory=True)
except UnroutableError as error:
    returned = error.messages[0]
    print(f'returned {returned.body.decode()}: {returned.method.reply_code} {returned.method.reply_text}')

channel.basic_qos(prefetch_count=3)
received = []
for method, properties, body in channel.consume('jobs'):
    received.append((method, properties, body))
    if len(received) == 3:
        break
channel.cancel()
print('received', *[f"{body.decode()}={properties.headers['n']}" for _, properties, body in received])
channel.basic_ack(received[1][0].delivery_tag, multiple=True)
channel.basic_nack(received[2][0].delivery_tag, requeue=True)
method, _, body = channel.basic_get('jobs')
print(f'got {body.decode()}, redelivered: {str(method.redelivered).lower()}')
channel.basic_ack(method.delivery_tag)
print('left', channel.queue_delete('jobs').method.message_count)
channel.exchange_delete('events')

try:
    channel.queue_declare('jobs', passive=True)
except ChannelClosedByBroker as error:
    print('refused', error.reply_code, error.reply_text)
connection.close()
print('closed')
