import { describe, expect, it } from '@jest/globals';
import { Wire } from '../wire/wire.js';
import type { Message } from '@nestmq/broker';
import type { Link } from '../links/link.js';
import { type Deferred, deferred, FakeDelivery, settled } from './handling.spec.support.js';
import { Replies } from './replies.js';

type Encoded = Awaited<ReturnType<Wire['encode']>>;

/** Encodes when it is told to. */
class SlowWire extends Wire {
  readonly encoding: Deferred<Encoded>[] = [];

  override encode(): Promise<Encoded> {
    this.encoding.push(deferred());
    return (this.encoding.at(-1) as Deferred<Encoded>).promise;
  }
}

describe('answers', () => {
  it('go out in their order, however long each takes to be encoded', async () => {
    const wire = new SlowWire();
    const published: string[] = [];
    const link = { publish: ({ body }: Message) => published.push(body.toString()) };
    const init = { link: () => link as unknown as Link, wire, report: () => {} };
    const request = new FakeDelivery({}, { properties: { replyTo: 'answers', correlationId: '7' } });
    const replies = new Replies(init, request, 'nestmq');
    void replies.send({ response: 1 });
    void replies.send({ response: 2 });
    const encode = async (n: number): Promise<void> => {
      wire.encoding[n]?.resolve({ body: Buffer.from(String(n)), properties: {} });
      await settled();
    };
    await encode(1);
    await encode(0);
    await encode(1);
    expect(published).toEqual(['0', '1']);
  });
});
