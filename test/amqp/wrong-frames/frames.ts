import { long, method, short, shortString } from '../server.js';

/** What a client says that is wrong, and how the server closes then: `channel 404 …`, `connection 501 …`, or `socket`. */
export interface WrongFrames {
  readonly what: string;
  readonly sent: readonly Buffer[];
  /** What the answer has to contain. */
  readonly answer: string;
  /** The method that the close names as its cause, here and there: class and method id. @default not looked at */
  readonly cause?: string;
  /** What that of RabbitMQ 3.10.8 contains, where it is another; undefined is no answer at all. */
  readonly rabbitMq?: string | undefined;
}

export const NOTHING: Buffer = Buffer.alloc(0);
export const BIT: Buffer = Buffer.from([0]);
export const qos: Buffer = method(1, 60, 10, long(0), short(0), BIT);
export const CLOSE: Buffer = method(1, 20, 40, short(200), shortString(''), long(0));
export const CLOSE_OK: Buffer = method(1, 20, 41);

export function openVhost(vhost: string): Buffer {
  return method(0, 10, 40, shortString(vhost), shortString(''), BIT);
}
