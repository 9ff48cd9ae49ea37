import type { Attributes, Context, Link, Span, TextMapGetter, TextMapSetter } from '@opentelemetry/api';
import type { FieldTable, FieldValue, Message } from '@nestmq/broker';
import { describeError, nameOfError } from '../describe-error.js';
import { exchangeOf } from '../envelope.js';

export type OpenTelemetryApi = typeof import('@opentelemetry/api');

export interface TracingInit {
  readonly api: OpenTelemetryApi;
  readonly system: string;
  readonly relation: 'child' | 'link';
}

/** A span that has begun, and the context that what belongs to it runs in. */
export interface OpenSpan {
  readonly span: Span;
  readonly context: Context;
}

/** Where a message went, or came from. */
export interface Destination {
  readonly exchange: string;
  readonly routingKey: string;
  /** For those who receive. */
  readonly queue?: string;
}

type Carrier = Record<string, FieldValue | undefined>;

const SETTER: TextMapSetter<Carrier> = {
  set: (carrier, key, value) => {
    carrier[key] = value;
  },
};

const GETTER: TextMapGetter<FieldTable> = {
  keys: (carrier) => Object.keys(carrier),
  get: (carrier, key) => {
    const value = carrier[key];
    return typeof value === 'string' ? value : undefined;
  },
};

/**
 * Spans by OpenTelemetry's semantic conventions for messaging
 * (opentelemetry.io/docs/specs/semconv/messaging/messaging-spans and /rabbitmq), of version 1.27 and later.
 */
export class Tracing {
  readonly #init: TracingInit;
  /** What the API has before anybody registers a provider. */
  readonly #nobody: unknown;

  constructor(init: TracingInit) {
    this.#init = init;
    this.#nobody = new init.api.ProxyTracerProvider().getDelegate();
  }

  /** Whether somebody has registered a provider: without one, spans cost time and go nowhere. */
  get isActive(): boolean {
    const provider: unknown = this.#init.api.trace.getTracerProvider();
    return (
      !(provider instanceof this.#init.api.ProxyTracerProvider) || provider.getDelegate() !== this.#nobody
    );
  }

  /** Begins the span of a publish, and gives the message with the span's context in its headers. */
  publish(
    message: Message,
    operation: 'publish' | 'send',
  ): { readonly message: Message; readonly span: Span } {
    const { api } = this.#init;
    const { span, context } = this.#start({
      name: `${operation} ${message.routingKey}`,
      kind: api.SpanKind.PRODUCER,
      parent: api.context.active(),
      links: [],
      attributes: { ...operationOf(operation, 'send'), ...this.#messageAttributes(message, message) },
    });
    const headers: Carrier = { ...message.properties.headers };
    api.propagation.inject(context, headers, SETTER);
    return { message: { ...message, properties: { ...message.properties, headers } }, span };
  }

  /** Begins the span of a delivery, which belongs to that of its producer. */
  receive(message: Message, { exchange, routingKey, queue }: Required<Destination>): OpenSpan {
    const { api, relation } = this.#init;
    const remote = api.propagation.extract(api.ROOT_CONTEXT, message.properties.headers ?? {}, GETTER);
    const producer = api.trace.getSpanContext(remote);
    const isLinked = relation === 'link' && producer !== undefined;
    return this.#start({
      name: `receive ${queue}`,
      kind: api.SpanKind.CLIENT,
      parent: isLinked ? api.trace.deleteSpan(remote) : remote,
      links: isLinked ? [{ context: producer }] : [],
      attributes: {
        ...operationOf('receive', 'receive'),
        ...this.#messageAttributes(message, { exchange, routingKey, queue }),
      },
    });
  }

  /** Begins the span of a handler, in that of the delivery; for a batch of several, linked to all of them. */
  process({ received, pattern, message, destination, attributes }: ProcessInit): OpenSpan {
    const { api } = this.#init;
    const [first] = received;
    const isBatch = message === undefined;
    return this.#start({
      name: `process ${pattern}`,
      kind: api.SpanKind.CONSUMER,
      parent: first === undefined || isBatch ? api.ROOT_CONTEXT : first.context,
      links: isBatch ? received.map(({ span }) => ({ context: span.spanContext() })) : [],
      attributes: {
        ...operationOf('process', 'process'),
        ...(isBatch ? this.#placeAttributes(destination) : this.#messageAttributes(message, destination)),
        ...attributes,
      },
    });
  }

  /** Calls in the context of the span: what is traced in there becomes its child. */
  run<T>({ context }: OpenSpan, call: () => T): T {
    return this.#init.api.context.with(context, call);
  }

  /** Marks the span as failed. */
  fail(span: Span, error: unknown): void {
    const name = nameOfError(error);
    const message = describeError(error);
    span.recordException({ name, message, ...stackOf(error) });
    span.setStatus({ code: this.#init.api.SpanStatusCode.ERROR, message });
    span.setAttribute('error.type', name);
  }

  #start({ name, kind, parent, links, attributes }: SpanInit): OpenSpan {
    const { api } = this.#init;
    const tracer = api.trace.getTracer('@nestmq/transport');
    const span = tracer.startSpan(name, { kind, links: [...links], attributes }, parent);
    return { span, context: api.trace.setSpan(parent, span) };
  }

  #messageAttributes({ properties, body }: Message, destination: Destination): Attributes {
    const { messageId, correlationId } = properties;
    return {
      ...this.#placeAttributes(destination),
      'messaging.message.body.size': body.length,
      ...(messageId === undefined ? {} : { 'messaging.message.id': messageId }),
      ...(correlationId === undefined ? {} : { 'messaging.message.conversation_id': correlationId }),
    };
  }

  #placeAttributes(destination: Destination): Attributes {
    return {
      'messaging.system': this.#init.system,
      'messaging.destination.name': destinationName(destination),
      ...(destination.routingKey === ''
        ? {}
        : { 'messaging.rabbitmq.destination.routing_key': destination.routingKey }),
    };
  }
}

export interface ProcessInit {
  /** The spans of the deliveries. */
  readonly received: readonly OpenSpan[];
  /** The handler's. */
  readonly pattern: string;
  /** Undefined for a batch. */
  readonly message: Message | undefined;
  readonly destination: Destination;
  readonly attributes: Attributes;
}

interface SpanInit {
  readonly name: string;
  readonly kind: number;
  readonly parent: Context;
  readonly links: readonly Link[];
  readonly attributes: Attributes;
}

function operationOf(name: string, type: 'send' | 'receive' | 'process'): Attributes {
  return { 'messaging.operation.name': name, 'messaging.operation.type': type };
}

/** `exchange:routing key`, for consumers with the queue: what is there of it, and a queue that the key names once. */
function destinationName({ exchange, routingKey, queue = '' }: Destination): string {
  const parts = [exchangeOf({ exchange }), routingKey, queue === routingKey ? '' : queue];
  return parts.filter((part) => part !== '').join(':') || 'amq.default';
}

function stackOf(error: unknown): { readonly stack?: string } {
  const { stack } = Object(error) as { readonly stack?: unknown };
  return typeof stack === 'string' ? { stack } : {};
}
