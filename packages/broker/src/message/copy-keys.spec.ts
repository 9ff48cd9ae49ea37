import { describe, expect, it } from '@jest/globals';
import { copyKeysOf, withoutBcc } from './copy-keys.js';
import { EncodedMessage } from './encoded-message.js';
import { arrayField, elementsOf, encodeTable, fieldsOf, tableOf } from './fields.js';
import { propertyBytesOf } from './headers.js';
import type { FieldTable, Message } from './message.js';

function made(headers: FieldTable): Message {
  return { exchange: 'x', routingKey: 'k', properties: { headers, replyTo: 'r' }, body: Buffer.from('b') };
}

function sent(headers: FieldTable): Message {
  const { exchange, routingKey, body } = made(headers);
  return new EncodedMessage(exchange, routingKey, propertyBytesOf(made(headers)), body);
}

describe.each([
  ['a message of this process', made],
  ['a message of a client', sent],
])('%s', (_, message) => {
  it('goes where CC and BCC say, too', () => {
    expect(copyKeysOf(message({ a: 1, BCC: ['d'], CC: ['b', 'c', 'b'] }))).toEqual(['b', 'c', 'b', 'd']);
    expect(copyKeysOf(message({ CC: [1, 'b', null, ['c']] }))).toEqual(['b']);
    expect(copyKeysOf(message({ CC: [] }))).toEqual([]);
  });

  it('has no copies without them', () => {
    for (const headers of [{}, { a: 'CC' }, { cc: ['b'] }, { CCC: 'b' }, { nested: { CC: 'b' } }])
      expect(copyKeysOf(message(headers))).toBeUndefined();
  });

  it('is refused when they are no arrays', () => {
    const refusal = (header: string, type: string): string =>
      `PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"${header}",${type}}`;
    expect(() => copyKeysOf(message({ CC: 'b' }))).toThrow(refusal('CC', 'longstr'));
    expect(() => copyKeysOf(message({ BCC: null }))).toThrow(refusal('BCC', 'void'));
    expect(() => copyKeysOf(message({ CC: ['b'], BCC: { a: 1 } }))).toThrow(refusal('BCC', 'table'));
  });

  it('goes on without its BCC, and is else as it was', () => {
    const before = message({ a: 1, BCC: ['d'], CC: ['b'], z: 'last' });
    const after = withoutBcc(before);
    expect(propertyBytesOf(after)).toEqual(propertyBytesOf(made({ a: 1, CC: ['b'], z: 'last' })));
    expect(after.properties.headers).toEqual({ a: 1, CC: ['b'], z: 'last' });
    expect([after.exchange, after.routingKey, after.body]).toEqual(['x', 'k', before.body]);
    expect(propertyBytesOf(withoutBcc(message({ BCC: [] })))).toEqual(propertyBytesOf(made({})));
    const none = message({ CC: ['b'] });
    expect(withoutBcc(none)).toBe(none);
  });
});

describe('the fields of a table', () => {
  it('are put together again as they were', () => {
    const table = encodeTable({ a: ['x', 1], b: null, c: { d: new Date(5000) } });
    const fields = fieldsOf(table);
    expect(tableOf(fields)).toEqual(table);
    const [first] = fields;
    expect(first && arrayField('a', elementsOf(first))).toEqual(first);
  });
});
