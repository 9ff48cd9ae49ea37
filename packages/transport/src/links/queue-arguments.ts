import type { FieldTable } from '@nestmq/broker';
import { GIVEN_UP_EXCHANGE } from '../envelope.js';
import type { QueueDeclaration } from './link.js';

/** A declaration in AMQP's words (rabbitmq.com/docs/queues, "Optional Arguments"). */
export function argumentsOf(declaration: QueueDeclaration): FieldTable {
  const { deadLetterQueue, maxPriority, singleActiveConsumer } = declaration;
  return {
    ...(deadLetterQueue === undefined
      ? {}
      : { 'x-dead-letter-exchange': GIVEN_UP_EXCHANGE, 'x-dead-letter-routing-key': deadLetterQueue }),
    ...(maxPriority === undefined ? {} : { 'x-max-priority': maxPriority }),
    ...(singleActiveConsumer === true ? { 'x-single-active-consumer': true } : {}),
    ...declaration.arguments,
  };
}

/**
 * So often a quorum queue hands a message out before it gives it up by itself. The transport counts attempts, and a look
 * into a queue counts as one, so the broker's own limit (20 from RabbitMQ 4.0 on) must not come first.
 */
const DELIVERY_LIMIT = 100_000;

/** The same where the broker is RabbitMQ: with a type, and with what keeps dead letters safe on their way. */
export function amqpArgumentsOf(declaration: QueueDeclaration, queueType: 'quorum' | 'classic'): FieldTable {
  // No other type has priorities.
  const chosen = declaration.maxPriority === undefined ? queueType : 'classic';
  const type = declaration.arguments?.['x-queue-type'] ?? chosen;
  const safely =
    declaration.deadLetterQueue === undefined
      ? {}
      : { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };
  const quorum = type === 'quorum' ? { 'x-delivery-limit': DELIVERY_LIMIT, ...safely } : {};
  return { 'x-queue-type': type, ...quorum, ...argumentsOf(declaration) };
}
