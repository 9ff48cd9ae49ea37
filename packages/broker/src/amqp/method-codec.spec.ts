import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../message/table-codec.js';
import { readMethod } from './method-codec.js';
import { type Method, METHODS, type MethodSpec } from './protocol.js';
import { WireTable } from './wire.js';

const SPECS = Object.entries(METHODS) as unknown as [Method['name'], MethodSpec<Method>][];

interface Specification {
  readonly domains: [string, string][];
  readonly classes: {
    readonly name: string;
    readonly methods: {
      readonly name: string;
      readonly arguments: { readonly name: string; readonly type?: string; readonly domain?: string }[];
    }[];
  }[];
}

const specification = readFileSync('packages/broker/spec/amqp-rabbitmq-0.9.1.json', 'utf8');
const { domains, classes } = JSON.parse(specification) as Specification;

/** Each type octet that RabbitMQ knows, with bytes that are no JavaScript value's own encoding. */
const FIELDS: readonly [type: string, value: number[]][] = [
  ['S', [0, 0, 0, 2, 0x61, 0xff]],
  ['x', [0, 0, 0, 1, 0]],
  ['F', [0, 0, 0, 4, 1, 0x61, 0x62, 0xff]],
  ['A', [0, 0, 0, 4, 0x62, 1, 0x74, 2]],
  ['t', [7]],
  ['b', [0x80]],
  ['B', [0x80]],
  ['s', [0x80, 0]],
  ['u', [0x80, 0]],
  ['I', [0, 0, 0, 1]],
  ['i', [0xff, 0xff, 0xff, 0xff]],
  ['l', [0, 0, 0, 0, 0, 0, 0, 1]],
  ['f', [0x3f, 0x80, 0, 0]],
  ['d', [0x7f, 0xf8, 0, 0, 0, 0, 0, 1]],
  ['D', [2, 0xff, 0xff, 0xff, 0xff]],
  ['T', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['V', []],
];

function tableOf(fields: readonly (readonly [string, number[]])[]): WireTable {
  const bytes = fields.flatMap(([type, value], i) => [1, 0x61 + (i % 26), type.charCodeAt(0), ...value]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return new WireTable(Buffer.concat([length, Buffer.from(bytes)]));
}

const ARBITRARIES: Record<string, fc.Arbitrary<unknown>> = {
  bit: fc.boolean(),
  octet: fc.integer({ min: 0, max: 255 }),
  short: fc.integer({ min: 0, max: 0xffff }),
  long: fc.integer({ min: 0, max: 0xffff_ffff }),
  longlong: fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })),
  shortstr: fc.string({ unit: 'binary', maxLength: 60 }),
  longstr: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  table: fc.subarray([...FIELDS]).map(tableOf),
};

function arbitraryOf(name: string): fc.Arbitrary<Method> {
  const [className = '', methodName = ''] = name.split('.');
  const args = classes
    .find((one) => one.name === className)
    ?.methods.find((one) => one.name === methodName)?.arguments;
  const types = new Map(domains);
  const fields = (args ?? []).map((one) => {
    const camel = one.name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const wire = types.get(one.domain ?? one.type ?? '') ?? one.type ?? '';
    return [camel === 'arguments' ? 'args' : camel, ARBITRARIES[wire] as fc.Arbitrary<unknown>] as const;
  });
  return fc.record({ name: fc.constant(name), ...Object.fromEntries(fields) }) as fc.Arbitrary<Method>;
}

function encode(method: Method): Buffer {
  const { classId, methodId, write } = METHODS[method.name] as unknown as MethodSpec<Method>;
  const out = new ByteWriter();
  out.uint16(classId);
  out.uint16(methodId);
  write(out, method);
  return out.buffer.subarray(0, out.end);
}

describe('methods', () => {
  it('are those of the specification, and no others', () => {
    const names = classes.flatMap((one) => one.methods.map((method) => `${one.name}.${method.name}`));
    expect(SPECS.map(([name]) => name).toSorted()).toEqual(names.toSorted());
  });

  it.each(SPECS.map(([name]) => name))('%s comes back as it was written, byte for byte', (name) => {
    fc.assert(
      fc.property(arbitraryOf(name), (method) => {
        const bytes = encode(method);
        const read = readMethod(new ByteReader(bytes));
        expect(read).toEqual(method);
        expect(encode(read).equals(bytes)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('with an argument missing, or bytes left over, are refused', () => {
    const bytes = encode({ name: 'basic.qos', prefetchSize: 0, prefetchCount: 1, global: false });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readMethod(new ByteReader(bytes.subarray(0, length)))).toThrow('FRAME_ERROR');
    }
    expect(() => readMethod(new ByteReader(Buffer.concat([bytes, bytes])))).toThrow('FRAME_ERROR');
  });

  it('that nobody knows, and names that are not UTF-8, are refused', () => {
    expect(() => readMethod(new ByteReader(Buffer.from([0, 77, 0, 1])))).toThrow('COMMAND_INVALID');
    const cancel = Buffer.from([0, 60, 0, 30, 2, 0xff, 0xfe, 0]);
    expect(() => readMethod(new ByteReader(cancel))).toThrow('Malformed UTF-8 in shortstr');
  });
});
