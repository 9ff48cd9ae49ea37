import { BrokerError, messageOf } from '../errors.js';
import { LIMITS } from '../limits.js';
import { HARD_ERRORS, REPLY_CODE, type ReplyName } from './protocol.js';

const SHOWN_OCTETS = 16;

/** What a client is told when its channel or connection is closed. Which of the two, the code says. */
export class AmqpError extends Error {
  readonly code: number;

  constructor(
    name: ReplyName,
    text: string,
    /** Closes the connection whatever the code says. */
    readonly isFatal: boolean = false,
  ) {
    super(`${name} - ${text}`);
    this.name = 'AmqpError';
    this.code = REPLY_CODE[name];
  }

  /** As much of the message as a short string can hold. */
  get replyText(): string {
    const bytes = Buffer.from(this.message);
    const bytesMax = LIMITS.shortStringBytesMax;
    if (bytes.length <= bytesMax) return this.message;
    return bytes.toString('utf8', 0, bytesMax - 3).replace(/\ufffd+$/, '');
  }

  get closesConnection(): boolean {
    return this.isFatal || HARD_ERRORS.has(this.code);
  }
}

export function notImplemented(what: string): AmqpError {
  return new AmqpError('NOT_IMPLEMENTED', `${what} not implemented`);
}

/** Bytes as RabbitMQ shows them in its errors: `type 7, all octets = <<"abc">>`. */
export function octetsOf(type: number, payload: Buffer): string {
  const shown = payload.subarray(0, SHOWN_OCTETS);
  const text = shown.toString('latin1');
  const octets = text !== '' && /^[ -~]*$/.test(text) ? `"${text}"` : [...shown].join(',');
  const which = payload.length <= SHOWN_OCTETS ? 'all' : `first ${SHOWN_OCTETS}`;
  return `type ${type}, ${which} octets = <<${octets}>>`;
}

/** How an error of the engine, or of the codec, is told to a client. Never throws. */
export function toAmqpError(error: unknown): AmqpError {
  if (error instanceof AmqpError) return error;
  if (error instanceof RangeError) return new AmqpError('FRAME_ERROR', `cannot decode: ${error.message}`);
  if (!(error instanceof BrokerError)) return new AmqpError('INTERNAL_ERROR', messageOf(error));
  const { code, message, severity } = error;
  if (code in REPLY_CODE) {
    const text = message.slice(code.length + 3);
    return new AmqpError(code as ReplyName, text, severity === 'connection');
  }
  if (code === 'CLOSED') return new AmqpError('CONNECTION_FORCED', message);
  if (code === 'STORE_FAILED' || severity === 'broker') return new AmqpError('INTERNAL_ERROR', message);
  return new AmqpError('PRECONDITION_FAILED', message);
}
