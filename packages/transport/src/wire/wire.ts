import type { Message, MessageProperties } from '@nestmq/broker';

/** Data as it goes over the wire. */
export interface Encoded {
  readonly body: Buffer;
  /** What tells the other side how to read it. */
  readonly properties: Pick<MessageProperties, 'contentType' | 'contentEncoding'>;
}

const JSON_PROPERTIES = { contentType: 'application/json' } as const;
const NOTHING = Buffer.alloc(0);

/** How data becomes bodies and bodies data. */
export class Wire {
  /** Throws TypeError for data that can't be encoded (for JSON a cycle, a BigInt). */
  encode(data: unknown): Encoded | Promise<Encoded> {
    const text = JSON.stringify(data) as string | undefined;
    return { body: text === undefined ? NOTHING : Buffer.from(text), properties: JSON_PROPERTIES };
  }

  /**
   * An empty body is `undefined`. Throws, or rejects if it is a promise, with an error that says why the body can't be
   * read.
   */
  decode({ body }: Pick<Message, 'body' | 'properties'>): unknown {
    return body.length === 0 ? undefined : (JSON.parse(body.toString('utf8')) as unknown);
  }
}
