import type { FieldTable } from '@nestmq/broker';

/**
 * A queue as it is declared over AMQP.
 *
 * @publicApi
 */
export interface DeclaredQueue {
  readonly name: string;
  /** @default true */
  readonly durable?: boolean;
  /** @default false */
  readonly exclusive?: boolean;
  readonly arguments: FieldTable;
}

/**
 * What is done over a connection, as far as newer brokers may refuse it.
 *
 * @publicApi
 */
export interface Declarations {
  readonly queues: readonly DeclaredQueue[];
  /** `basic.qos` with `global`. @default false */
  readonly globalQos?: boolean;
}

/**
 * What RabbitMQ 4.3 refuses or passes over of what is declared, one sentence each, with the cure; empty when all is well
 * (rabbitmq.com: "Deprecated Features", "Classic Queues", "Quorum Queues").
 *
 * @publicApi
 */
export function lintDeclarations({ queues, globalQos = false }: Declarations): readonly string[] {
  const ofQueues = queues.flatMap((queue) =>
    RULES.filter(({ applies }) => applies(queue)).map((rule) => told(queue, rule)),
  );
  return globalQos
    ? [...ofQueues, 'A prefetch count for a whole channel is refused: give each consumer its own.']
    : ofQueues;
}

interface Rule {
  readonly applies: (queue: DeclaredQueue) => boolean;
  readonly what: string;
}

const typeOf = ({ arguments: args }: DeclaredQueue): unknown => args['x-queue-type'] ?? 'classic';
const has = ({ arguments: args }: DeclaredQueue, name: string): boolean => args[name] !== undefined;
const hasMirroring = ({ arguments: args }: DeclaredQueue): boolean =>
  Object.keys(args).some((name) => name.startsWith('x-ha-') || name.startsWith('ha-'));

const RULES: readonly Rule[] = [
  {
    applies: ({ durable = true, exclusive = false }) => !durable && !exclusive,
    what: 'is neither durable nor exclusive, which is refused: declare it durable, or exclusive to its connection',
  },
  { applies: hasMirroring, what: "is mirrored, which is no more: declare it with 'x-queue-type' 'quorum'" },
  {
    applies: (queue) => typeOf(queue) === 'quorum' && has(queue, 'x-max-priority'),
    what: "is a quorum queue with 'x-max-priority', which is refused: declare it with 'x-queue-type' 'classic', or without priorities",
  },
  {
    applies: (queue) => typeOf(queue) === 'quorum' && queue.exclusive === true,
    what: "is a quorum queue and exclusive, which is refused: declare it with 'x-queue-type' 'classic'",
  },
  {
    applies: (queue) => has(queue, 'x-queue-mode'),
    what: "has 'x-queue-mode', which is passed over: leave it out",
  },
  {
    applies: ({ arguments: args }) => args['x-queue-version'] === 1,
    what: "has 'x-queue-version' 1, which is no more: leave it out",
  },
  {
    applies: (queue) => typeOf(queue) === 'quorum' && queue.arguments['x-overflow'] === 'reject-publish-dlx',
    what: "is a quorum queue with 'x-overflow' 'reject-publish-dlx', which it does not have: use 'reject-publish'",
  },
  {
    applies: ({ arguments: args }) =>
      args['x-dead-letter-strategy'] === 'at-least-once' && args['x-overflow'] !== 'reject-publish',
    what: "has 'x-dead-letter-strategy' 'at-least-once' without 'x-overflow' 'reject-publish', so that it does not hold: add that",
  },
];

function told({ name }: DeclaredQueue, { what }: Rule): string {
  return `The queue '${name}' ${what}.`;
}
