<?php
// A session with php-amqplib; clients.spec.ts says what it has to print. The port is the argument.
require 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

$connection = new AMQPStreamConnection('127.0.0.1', (int) $argv[1], 'guest', 'guest');
$channel = $connection->channel();
$channel->confirm_select();
$channel->exchange_declare('events', 'topic', false, true, false);
[$name, $messages, $consumers] = $channel->queue_declare('jobs', false, true, false, false);
echo "declared $name: $messages messages, $consumers consumers\n";
$channel->queue_bind('jobs', 'events', 'job.*');

$confirmed = 0;
$channel->set_ack_handler(function () use (&$confirmed) { $confirmed++; });
$channel->set_return_listener(function ($code, $text, $exchange, $key, $message) {
    echo "returned {$message->body}: $code $text\n";
});
foreach (['one', 'two', 'three'] as $i => $body) {
    $properties = ['delivery_mode' => 2, 'application_headers' => new AMQPTable(['n' => $i + 1])];
    $channel->basic_publish(new AMQPMessage($body, $properties), 'events', 'job.new', true);
}
$channel->wait_for_pending_acks_returns(10);
echo "confirmed $confirmed\n";
$channel->basic_publish(new AMQPMessage('lost'), 'events', 'nobody', true);
$channel->wait_for_pending_acks_returns(10);

$channel->basic_qos(0, 3, false);
$received = [];
$tag = $channel->basic_consume('jobs', '', false, false, false, false, function ($message) use (&$received) {
    $received[] = $message;
});
while (count($received) < 3) {
    $channel->wait(null, false, 10);
}
$channel->basic_cancel($tag);
$words = array_map(
    fn ($message) => $message->body . '=' . $message->get('application_headers')->getNativeData()['n'],
    $received,
);
echo 'received ' . implode(' ', $words) . "\n";
$channel->basic_ack($received[1]->getDeliveryTag(), true);
$channel->basic_nack($received[2]->getDeliveryTag(), false, true);
$got = $channel->basic_get('jobs');
echo "got {$got->body}, redelivered: " . ($got->isRedelivered() ? 'true' : 'false') . "\n";
$channel->basic_ack($got->getDeliveryTag());
echo 'left ' . $channel->queue_delete('jobs') . "\n";
$channel->exchange_delete('events');

try {
    $channel->queue_declare('jobs', true);
} catch (AMQPProtocolChannelException $error) {
    echo "refused {$error->amqp_reply_code} {$error->amqp_reply_text}\n";
}
$connection->close();
echo "closed\n";
