"""Sends readings to a Nest application, then asks it for the latest. Needs pika."""

import json
import os
import uuid

import pika

EVENTS = "nestmq.events"
REQUESTS = "nestmq.requests"

port = int(os.environ.get("AMQP_PORT", "5672"))
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
channel = connection.channel()
# basic_publish returns when the reading is on the disk, and raises UnroutableError when nobody has a queue for it.
channel.confirm_delivery()


def emit(pattern, data):
    properties = pika.BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id=str(uuid.uuid4()),
    )
    channel.basic_publish(EVENTS, pattern, json.dumps(data), properties, mandatory=True)


def ask(pattern, data):
    answers = []

    def on_answer(_channel, _method, _properties, body):
        answers.append(json.loads(body))

    reply_to = "amq.rabbitmq.reply-to"
    channel.basic_consume(reply_to, on_answer, auto_ack=True)
    properties = pika.BasicProperties(
        content_type="application/json",
        correlation_id=str(uuid.uuid4()),
        reply_to=reply_to,
    )
    channel.basic_publish(REQUESTS, pattern, json.dumps(data), properties, mandatory=True)
    while not answers:
        connection.process_data_events(time_limit=1)
    return answers[0]


for celsius in (20.5, 21, 22.5):
    emit("reading.taken", {"sensor": "attic", "celsius": celsius})
print("3 readings are on the disk")
print("the latest:", ask("reading.latest", "attic"))
connection.close()
