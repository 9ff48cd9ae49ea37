import type { Clock, Message } from '@nestmq/broker';
import type { Link, PublishCallback, PublishOptions } from '../links/link.js';
import type { MessageKind, QueueMetrics } from './metrics.js';
import type { Observers } from './observers.js';
import type { Tracing } from './tracing.js';
import type { QueueWitness } from './witness.js';

/** How a client publishes: {@link Link.publish}, or that with somebody who looks on. */
export type Publish = (link: Link, message: Message, done: PublishCallback, options?: PublishOptions) => void;

/** Nobody looks on. */
export const publishDirectly: Publish = (link, message, done, options) =>
  link.publish(message, done, options);

/** Publishes with metrics and spans. What there is none of costs nothing. */
export function observedPublish({ metrics, tracing, clock, witness }: Observers): Publish {
  let publish = witness === undefined ? publishDirectly : witnessed(witness);
  if (tracing !== undefined) publish = traced(tracing, publish);
  if (metrics !== undefined) publish = measured(metrics, clock, publish);
  return publish;
}

/** Only requests say where answers go. */
function kindOf({ properties }: Message): MessageKind {
  return properties.replyTo === undefined ? 'event' : 'request';
}

function traced(tracing: Tracing, publish: Publish): Publish {
  return (link, plain, done, options) => {
    if (!tracing.isActive) return publish(link, plain, done, options);
    const { message, span } = tracing.publish(plain, kindOf(plain) === 'event' ? 'publish' : 'send');
    const end = (error?: Error): void => {
      if (error !== undefined) tracing.fail(span, error);
      span.end();
    };
    return toldOf(end, publish)(link, message, done, options);
  };
}

function measured(metrics: QueueMetrics, clock: Clock, publish: Publish): Publish {
  return (link, message, done, options) => {
    const kind = kindOf(message);
    const startedAt = clock.now();
    metrics.published(kind);
    const end = (error?: Error): void => {
      if (error === undefined) metrics.confirmed(kind, Math.max(0, clock.now() - startedAt));
      else metrics.publishFailed(kind);
    };
    return toldOf(end, publish)(link, message, done, options);
  };
}

function witnessed(witness: QueueWitness): Publish {
  return (link, message, done, options) => {
    const { onDone, copies, held } = witness.publishing(message, kindOf(message));
    const end: PublishCallback = (error, unroutable) => {
      onDone(error, unroutable);
      const until = held?.();
      if (until === undefined) done(error, unroutable);
      else void after(until, () => done(error, unroutable));
    };
    try {
      link.publish(message, end, options);
      for (let copy = 0; copy < copies; copy++) link.publish(message, () => {}, options);
    } catch (error) {
      onDone(error as Error);
      throw error;
    }
  };
}

async function after(held: Promise<void>, call: () => void): Promise<void> {
  await held;
  call();
}

/** `end` is told of how it ends, before the caller is; also of what can't even begin. */
function toldOf(end: (error?: Error) => void, publish: Publish): Publish {
  return (link, message, done, options) => {
    const onDone: PublishCallback = (error, unroutable) => {
      end(error);
      done(error, unroutable);
    };
    try {
      publish(link, message, onDone, options);
    } catch (error) {
      end(error as Error);
      throw error;
    }
  };
}
