# A session with py-amqp, Celery's client (python3-amqp); clients.spec.ts says what it has to print. The port is the argument.
import sys

import amqp

connection = amqp.Connection(f'127.0.0.1:{sys.argv[1]}', confirm_publish=True)
connection.connect()
channel = connection.channel()
channel.exchange_declare('events', 'topic', durable=True, auto_delete=False)
declared = channel.queue_declare('jobs', durable=True, auto_delete=False)
print(f'declared {declared.queue}: {declared.message_count} messages, {declared.consumer_count} consumers')
channel.queue_bind('jobs', 'events', 'job.*')

for n, body in enumerate(['one', 'two', 'three'], 1):
    message = amqp.Message(body, delivery_mode=2, application_headers={'n': n})
    channel.basic_publish(message, 'events', 'job.new', mandatory=True)
print('confirmed 3')


def on_return(error, exchange, routing_key, message):
    print(f'returned {message.body}: {error.reply_code} {error.reply_text}')


channel.events['basic_return'].add(on_return)
channel.basic_publish(amqp.Message('lost'), 'events', 'nobody', mandatory=True)

channel.basic_qos(0, 3, False)
received = []
tag = channel.basic_consume('jobs', callback=received.append)
while len(received) < 3:
    connection.drain_events(timeout=10)
channel.basic_cancel(tag)
print('received', *[f"{message.body}={message.headers['n']}" for message in received])
channel.basic_ack(received[1].delivery_tag, multiple=True)
channel.basic_reject(received[2].delivery_tag, requeue=True)
got = channel.basic_get('jobs')
print(f"got {got.body}, redelivered: {str(got.delivery_info['redelivered']).lower()}")
channel.basic_ack(got.delivery_tag)
print('left', channel.queue_delete('jobs'))
channel.exchange_delete('events')

try:
    channel.queue_declare('jobs', passive=True)
except amqp.NotFound as error:
    print('refused', error.reply_code, error.reply_text)
connection.close()
print('closed')
