import { QueueOptionsException } from '../queue.exceptions.js';
import type { NormalisedTelemetryOptions } from './telemetry.options.js';
import { type OpenTelemetryApi, Tracing } from './tracing.js';

/** An optional peer: not loaded before it is needed. */
const importApi = (): Promise<OpenTelemetryApi> => import('@opentelemetry/api');

/** Undefined when there is to be none. Rejects with QueueOptionsException when it is asked for and not installed. */
export async function loadTracing(
  { mode, relation }: NormalisedTelemetryOptions,
  home: object,
  load: () => Promise<OpenTelemetryApi> = importApi,
): Promise<Tracing | undefined> {
  if (mode === 'off') return undefined;
  try {
    return new Tracing({ api: await load(), system: systemOf(home), relation });
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (mode === 'if-present') return undefined;
    throw new QueueOptionsException(
      "'telemetry' is on, and @opentelemetry/api is not installed.",
      'Install it (npm install @opentelemetry/api), or leave the option out.',
    );
  }
}

/** `messaging.system`: what speaks AMQP is RabbitMQ, as far as can be known; what is embedded, or of another make, is not. */
function systemOf(home: object): 'nestmq' | 'rabbitmq' {
  return 'amqp' in home ? 'rabbitmq' : 'nestmq';
}

function isMissing(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}
