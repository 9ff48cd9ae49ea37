/** AMQP 0-9-1, section 1.2. */
const ACCESS_REFUSED = 403;
export const NOT_FOUND = 404;

/** amqplib wraps the broker's words: `Operation failed: QueueDeclare; 404 (NOT-FOUND) with message "NOT_FOUND - …"`. */
const WRAPPED = /(\d{3}) \([A-Z-]+\) with message "(.*)"$/s;

/** An error of a broker, in its own words. */
export class AmqpError extends Error {
  constructor(
    readonly code: number | undefined,
    text: string,
    cause: unknown,
  ) {
    super(text, { cause });
    this.name = 'AmqpError';
  }
}

/** An error of the client library, unwrapped. */
export function amqpError(error: unknown): AmqpError {
  const { message, code } = error as { readonly message?: unknown; readonly code?: unknown };
  const text = String(message ?? error);
  const [, wrappedCode, words] = WRAPPED.exec(text) ?? [];
  if (words !== undefined) return new AmqpError(Number(wrappedCode), words, error);
  return new AmqpError(typeof code === 'number' ? code : undefined, text, error);
}

/** Logging in was refused. */
export function isLoginRefused(error: unknown): boolean {
  return amqpError(error).code === ACCESS_REFUSED;
}

/**
 * The vhost was not opened: it is not there or not permitted, but it may also not be up yet, or have too many connections
 * for a while. amqplib keeps to itself what the broker says to it.
 */
export function isVhostRefused(error: unknown): boolean {
  return amqpError(error).message.includes('Expected ConnectionOpenOk; got <ConnectionClose');
}
