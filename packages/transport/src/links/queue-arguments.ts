import type { FieldTable } from '@nestmq/broker';
import type { QueueDeclaration } from './link.js';

/** A declaration in AMQP's words (rabbitmq.com/docs/queues, "Optional Arguments"). */
export function argumentsOf(declaration: QueueDeclaration): FieldTable {
  const { deadLetterQueue, maxPriority, singleActiveConsumer } = declaration;
  return {
    ...(deadLetterQueue === undefined
      ? {}
      : { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': deadLetterQueue }),
    ...(maxPriority === undefined ? {} : { 'x-max-priority': maxPriority }),
    ...(singleActiveConsumer === true ? { 'x-single-active-consumer': true } : {}),
    ...declaration.arguments,
  };
}
