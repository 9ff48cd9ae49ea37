import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameParser } from './frame-parser.js';

function frame(type: number, channel: number, payload: Buffer, end = 0xce): Buffer {
  const header = Buffer.alloc(7);
  header.writeUInt8(type);
  header.writeUInt16BE(channel, 1);
  header.writeUInt32BE(payload.length, 3);
  return Buffer.concat([header, payload, Buffer.from([end])]);
}

function framesOf(parser: FrameParser): string[] {
  const found: string[] = [];
  while (parser.next())
    found.push(`${parser.type} ${parser.channel} ${parser.buffer.toString('hex', parser.start, parser.end)}`);
  return found;
}

describe('frames', () => {
  it('are the same, however the stream is cut', () => {
    const payload = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    const channel = fc.nat(0xffff);
    const one = fc.oneof(
      fc.record({ type: fc.constantFrom(1, 2, 3), channel, payload }),
      fc.record({ type: fc.constant(8), channel, payload: fc.constant(Buffer.alloc(0)) }),
    );
    const property = fc.property(
      fc.array(one, { maxLength: 8 }),
      fc.infiniteStream(fc.nat(30)),
      (all, cuts) => {
        const stream = Buffer.concat(all.map((each) => frame(each.type, each.channel, each.payload)));
        const parser = new FrameParser();
        const found: string[] = [];
        for (let at = 0; at < stream.length;) {
          const next = at + (cuts.next().value as number) + 1;
          parser.push(stream.subarray(at, next));
          found.push(...framesOf(parser));
          at = next;
        }
        expect(found).toEqual(
          all.map((each) => `${each.type} ${each.channel} ${each.payload.toString('hex')}`),
        );
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it('that lie in a chunk are not copied, unless they are a small part of it', () => {
    const parser = new FrameParser();
    const large = frame(3, 1, Buffer.alloc(7000));
    parser.push(Buffer.concat([large, frame(3, 1, Buffer.alloc(10))]));
    expect(parser.next() && parser.payload().buffer === parser.buffer.buffer).toBe(true);
    expect(parser.next() && parser.payload().buffer === parser.buffer.buffer).toBe(false);
  });

  it('with a wrong end octet are refused', () => {
    const parser = new FrameParser();
    parser.push(frame(1, 1, Buffer.from([0, 60]), 0));
    expect(() => parser.next()).toThrow(
      'FRAME_ERROR - type 1, all octets = <<0,60>>: {invalid_frame_end_marker,0}',
    );
  });

  it('of an unknown type are refused', () => {
    const parser = new FrameParser();
    parser.push(frame(7, 1, Buffer.from('abc')));
    expect(() => parser.next()).toThrow('FRAME_ERROR - type 7, all octets = <<"abc">>: unknown_frame');
  });

  it('larger than agreed are refused by their header, before memory is taken for them', () => {
    const parser = new FrameParser();
    parser.frameBytesMax = 4096;
    parser.push(Buffer.from([3, 0, 1, 0xff, 0xff, 0xff, 0xff]));
    expect(() => parser.next()).toThrow('{frame_too_large,4294967295,4088}');
  });
});
