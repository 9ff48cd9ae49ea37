import type { Message } from '@nestmq/broker';

/** A message as a test wants to see it. */
export interface ReceivedMessage {
  /** The routing key. */
  readonly pattern: string;
  /** The body, parsed as JSON; the text itself where it is none. */
  readonly data: unknown;
  readonly message: Message;
}

export function received(message: Message): ReceivedMessage {
  return { pattern: message.routingKey, data: parsed(message.body), message };
}

/** The body as JSON, or its text where it is none. */
export function parsed(body: Buffer): unknown {
  const text = body.toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
