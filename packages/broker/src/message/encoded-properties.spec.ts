import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EncodedMessage, ownBytes, withBody } from './encoded-message.js';
import { checkProperties, checkTable, deliveryModeIn, withShortString } from './encoded-properties.js';
import { isPersistent, type Message, type MessageProperties } from './message.js';
import { readProperties, writeProperties } from './properties-codec.js';
import { ByteReader, ByteWriter } from './table-codec.js';

function encode(properties: MessageProperties): Buffer {
  const out = new ByteWriter(1);
  writeProperties(out, properties);
  return out.buffer.subarray(0, out.end);
}

const word = fc.string({ maxLength: 8 });
const properties = fc.record(
  {
    contentType: word,
    contentEncoding: word,
    headers: fc.dictionary(word, fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null)), {
      noNullPrototype: true,
    }),
    deliveryMode: fc.nat(255),
    priority: fc.nat(255),
    replyTo: word,
    expiration: word,
    timestamp: fc.nat(),
    userId: word,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<MessageProperties>;

const textAt = (bytes: Buffer, at: number): string | undefined =>
  at < 0 ? undefined : bytes.toString('utf8', at + 1, at + 1 + (bytes[at] as number));

describe('encoded properties', () => {
  it('are found without being decoded', () => {
    fc.assert(
      fc.property(properties, (p) => {
        const bytes = encode(p);
        const places = checkProperties(bytes);
        expect([places.deliveryMode, deliveryModeIn(bytes)]).toEqual([p.deliveryMode, p.deliveryMode]);
        expect(textAt(bytes, places.replyToAt)).toBe(p.replyTo);
        expect(textAt(bytes, places.expirationAt)).toBe(p.expiration);
        expect(textAt(bytes, places.userIdAt)).toBe(p.userId);
        const { headersAt, headersEnd } = places;
        expect([headersAt >= 0, headersEnd >= headersAt]).toEqual([p.headers !== undefined, true]);
        if (places.replyToAt < 0) return;
        const answered = withShortString(bytes, places.replyToAt, 'elsewhere');
        expect(readProperties(new ByteReader(answered))).toEqual({
          ...readProperties(new ByteReader(bytes)),
          replyTo: 'elsewhere',
        });
      }),
      { numRuns: 500 },
    );
  });

  it('that pass the check can be decoded; others are refused with a RangeError', () => {
    let passed = 0;
    const mutated = fc.tuple(properties, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }));
    fc.assert(
      fc.property(mutated, ([p, changes]) => {
        const bytes = Buffer.from(encode(p));
        for (const [at, octet] of changes) bytes[at % bytes.length] = octet;
        try {
          checkProperties(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        passed++;
        readProperties(new ByteReader(bytes));
      }),
      { numRuns: 5000, seed: 1 },
    );
    expect(passed).toBeGreaterThan(500);
  });

  it('nested too deep are refused', () => {
    const layers = Array.from({ length: 1000 }, (_, i) => {
      const layer = Buffer.from([0, 0, 0, 0, 1, 0x61, 0x46]);
      layer.writeUInt32BE((999 - i) * 7 + 3);
      return layer;
    });
    const bytes = Buffer.concat([...layers, Buffer.alloc(4)]);
    expect(() => checkTable(bytes, 0, bytes.length)).toThrow(RangeError);
  });

  it('stay with a message that gets another body, or memory of its own', () => {
    const bytes = encode({ deliveryMode: 2, headers: { a: 1 } });
    const message = new EncodedMessage('x', 'k', bytes, Buffer.from('1'));
    expect(isPersistent(message)).toBe(true);
    for (const copy of [ownBytes(message), withBody(message, Buffer.from('2'))]) {
      expect(copy).toMatchObject({ exchange: 'x', routingKey: 'k', properties: { headers: { a: 1 } } });
      expect(copy.propertiesBytes).toEqual(bytes);
    }
  });

  it('do not stay with a copy that has other properties', () => {
    const message: Message = new EncodedMessage('x', 'k', encode({ deliveryMode: 2 }), Buffer.alloc(0));
    const copy = { ...message, properties: { deliveryMode: 1 } };
    expect([isPersistent(copy), 'propertiesBytes' in copy]).toEqual([false, false]);
  });
});
