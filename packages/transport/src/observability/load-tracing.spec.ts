import { describe, expect, it } from '@jest/globals';
import * as api from '@opentelemetry/api';
import { loadTracing } from './load-tracing.js';
import { telemetryOf } from './telemetry.options.js';
import { Tracing } from './tracing.js';

const missing = async (): Promise<never> => {
  throw Object.assign(new Error("Cannot find package '@opentelemetry/api'"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
};

describe('OpenTelemetry', () => {
  it('is used when it is there', async () => {
    expect(await loadTracing(telemetryOf('telemetry', undefined), {})).toBeInstanceOf(Tracing);
  });

  it('is not needed', async () => {
    expect(await loadTracing(telemetryOf('telemetry', undefined), {}, missing)).toBeUndefined();
  });

  it('is not even looked for when it is off', async () => {
    const load = async (): Promise<never> => {
      throw new Error('looked for');
    };
    expect(await loadTracing(telemetryOf('telemetry', false), {}, load)).toBeUndefined();
  });

  it.each([true, { relation: 'link' }])('must be there when the option is %p', async (option) => {
    await expect(loadTracing(telemetryOf('telemetry', option), {}, missing)).rejects.toThrow(
      /@opentelemetry\/api is not installed/,
    );
  });

  it('is not given up in silence when it is broken', async () => {
    const broken = async (): Promise<never> => {
      throw new SyntaxError('broken');
    };
    await expect(loadTracing(telemetryOf('telemetry', undefined), {}, broken)).rejects.toThrow('broken');
  });

  it.each([[null], ['yes'], [{ relation: 'parent' }], [{ relations: 'link' }]])(
    'refuses the option %p',
    (option) => {
      expect(() => telemetryOf('telemetry', option)).toThrow(/telemetry/);
    },
  );
});

describe('the spans of a batch', () => {
  const tracing = new Tracing({ api, system: 'nestmq', relation: 'child' });

  it('is a root that is linked to the deliveries, not a child of one', () => {
    const started: { name: string; options: api.SpanOptions; parent: api.Context }[] = [];
    const noop = new api.ProxyTracerProvider().getTracer('none');
    const tracer = {
      startSpan: (name: string, options: api.SpanOptions, parent: api.Context) => {
        started.push({ name, options, parent });
        return noop.startSpan(name);
      },
    };
    api.trace.setGlobalTracerProvider({ getTracer: () => tracer } as never);
    expect(tracing.isActive).toBe(true);
    const message = { exchange: 'nestmq.events', routingKey: 'a', properties: {}, body: Buffer.alloc(1) };
    const destination = { exchange: 'nestmq.events', routingKey: 'a', queue: 'q' };
    const received = [tracing.receive(message, destination), tracing.receive(message, destination)];
    const attributes = { 'messaging.batch.message_count': 2 };
    tracing.process({ received, pattern: 'a', message: undefined, destination, attributes });
    api.trace.disable();
    const batch = started.at(-1);
    expect(batch).toMatchObject({ name: 'process a', parent: api.ROOT_CONTEXT });
    expect(batch?.options.links).toHaveLength(2);
    expect(batch?.options.attributes).toMatchObject({
      ...attributes,
      'messaging.destination.name': 'nestmq.events:a:q',
    });
    expect(tracing.isActive).toBe(false);
  });
});
