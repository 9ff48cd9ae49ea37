import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FieldTable, FieldValue, MessageProperties } from './message.js';
import { readProperties, writeProperties } from './properties-codec.js';
import { ByteReader, ByteWriter, readTable, writeTable } from './table-codec.js';

function tableRoundTrip(table: FieldTable): FieldTable {
  const out = new ByteWriter(1);
  writeTable(out, table);
  return readTable(new ByteReader(out.buffer, 0, out.end));
}

const name = fc.string({ maxLength: 20 }).filter((text) => Buffer.byteLength(text) <= 255);
const { table } = fc.letrec<{ table: FieldTable; value: FieldValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.integer({ min: 0, max: 2 ** 40 }).map((seconds) => new Date(seconds * 1000)),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('table'),
  ),
  table: fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
}));

describe('field tables', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(table, (written) => {
        expect(tableRoundTrip(written)).toEqual(written);
      }),
      { numRuns: 500 },
    );
  });

  it('leave out what is undefined, and keep names that could hurt as data', () => {
    const written = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}') as FieldTable;
    const read = tableRoundTrip({ ...written, left: undefined });
    expect(Object.keys(read).toSorted()).toEqual(Object.keys({ ...written }).toSorted());
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('of types that we do not write are read', () => {
    const bytes = (...parts: number[]): Buffer => Buffer.from(parts);
    const field = (key: string, type: string, value: Buffer): Buffer =>
      Buffer.concat([bytes(key.length), Buffer.from(key + type), value]);
    const fields = Buffer.concat([
      field('b', 'b', bytes(0xff)),
      field('B', 'B', bytes(0xff)),
      field('s', 's', bytes(0xff, 0xfe)),
      field('u', 'u', bytes(0xff, 0xfe)),
      field('i', 'i', bytes(0xff, 0xff, 0xff, 0xff)),
      field('f', 'f', bytes(0x3f, 0xc0, 0, 0)),
      field('D', 'D', bytes(2, 0, 0, 0, 150)),
    ]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(fields.length);
    expect(readTable(new ByteReader(Buffer.concat([length, fields])))).toEqual({
      b: -1,
      B: 255,
      s: -2,
      u: 65_534,
      i: 4_294_967_295,
      f: 1.5,
      D: 1.5,
    });
  });

  it('nested too deep are refused, in both directions', () => {
    let deep: FieldTable = {};
    for (let i = 0; i < 40; i++) deep = { deeper: deep };
    expect(() => tableRoundTrip(deep)).toThrow('nested deeper than 32');
    let list: FieldValue = [];
    for (let i = 0; i < 40; i++) list = [list];
    expect(() => tableRoundTrip({ list })).toThrow('nested deeper than 32');
    // A stranger's bytes: 10,000 tables, each announced inside the one before.
    const layers = Array.from({ length: 10_000 }, () => Buffer.from([0, 1, 0, 0, 1, 0x61, 0x46]));
    expect(() => readTable(new ByteReader(Buffer.concat(layers)))).toThrow(RangeError);
  });

  it("of any stranger's bytes are read or refused with a RangeError, never from outside", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const inside = Buffer.concat([Buffer.alloc(8, 0x41), bytes, Buffer.alloc(8, 0x41)]);
        const reader = new ByteReader(inside, 8, 8 + bytes.length);
        try {
          readTable(reader);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
        expect(reader.at).toBeLessThanOrEqual(8 + bytes.length);
      }),
      { numRuns: 3000 },
    );
  });

  it('that name __proto__ twice are read as any other name given twice', () => {
    const entry = (value: number): number[] => [9, ...Buffer.from('__proto__'), 0x62, value];
    const bytes = Buffer.from([0, 0, 0, 24, ...entry(1), ...entry(2)]);
    const read = readTable(new ByteReader(bytes));
    expect(Object.entries(read)).toEqual([['__proto__', 2]]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });

  it('with an integer of more than 64 bits are refused', () => {
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) {
      expect(() => tableRoundTrip({ value })).toThrow(expect.objectContaining({ code: 'INVALID_MESSAGE' }));
    }
    expect(tableRoundTrip({ value: 2n ** 63n - 1n })).toEqual({ value: 2n ** 63n - 1n });
  });

  it('hold strings, numbers and the like only', () => {
    const bad = { f: () => {} } as unknown as FieldTable;
    expect(() => tableRoundTrip(bad)).toThrow('A header holds a function.');
  });
});

describe('short strings', () => {
  it.each([
    '',
    'a',
    'x'.repeat(40),
    'x'.repeat(41),
    'x'.repeat(255),
    'ä'.repeat(40),
    '🙂'.repeat(10),
    `${'a'.repeat(39)}é`,
  ])('come back as they were written: %s', (text) => {
    const out = new ByteWriter(1);
    out.shortString(text);
    out.shortString('next');
    const reader = new ByteReader(out.buffer, 0, out.end);
    expect([reader.shortString(), reader.shortString(), reader.at]).toEqual([text, 'next', out.end]);
  });

  it('of more than 255 bytes are refused, counted as UTF-8', () => {
    expect(() => new ByteWriter().shortString('x'.repeat(256))).toThrow('256 bytes as UTF-8');
    expect(() => new ByteWriter().shortString('ä'.repeat(128))).toThrow('256 bytes as UTF-8');
  });
});

describe('properties', () => {
  const ALL: MessageProperties = {
    contentType: 'application/json',
    contentEncoding: 'gzip',
    headers: { a: 1 },
    deliveryMode: 2,
    priority: 9,
    correlationId: 'c',
    replyTo: 'r',
    expiration: '1000',
    messageId: 'm',
    timestamp: 1_767_225_600,
    type: 't',
    userId: 'guest',
    appId: 'app',
  };

  it('come back as they were written, all, each, and none', () => {
    const each = Object.entries(ALL).map(([key, value]) => ({ [key]: value }));
    for (const written of [ALL, {}, ...each]) {
      const out = new ByteWriter(1);
      writeProperties(out, written);
      expect(readProperties(new ByteReader(out.buffer, 0, out.end))).toEqual(written);
    }
  });

  it('with any timestamp can be read once they could be written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger()), (timestamp) => {
        const out = new ByteWriter();
        try {
          writeProperties(out, { timestamp });
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_MESSAGE' });
          expect(Number.isSafeInteger(timestamp) && timestamp >= 0).toBe(false);
          return;
        }
        expect(readProperties(new ByteReader(out.buffer, 0, out.end)).timestamp).toBe(timestamp + 0);
      }),
      { numRuns: 1000, examples: [[-1], [-0.5], [1.5], [Number.NaN], [Infinity], [2 ** 53]] },
    );
  });

  it('out of their range are refused', () => {
    expect(() => writeProperties(new ByteWriter(), { priority: 256 })).toThrow(
      'is 256. Delivery mode and priority',
    );
    expect(() => writeProperties(new ByteWriter(), { deliveryMode: -1 })).toThrow(
      'A property of one octet is -1',
    );
  });
});
