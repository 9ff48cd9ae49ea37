import { describe, expect, it } from '@jest/globals';
import { EncodedMessage } from './encoded-message.js';
import { encodeTable, fieldsOf, longField, typeOf } from './fields.js';
import { headersIn, propertyBytesOf, withHeaders } from './headers.js';
import type { FieldTable, Message } from './message.js';
import { type Death, deadLetterOf, isCycle } from './x-death.js';

const AT = Date.UTC(2026, 0, 1);

function message(headers: FieldTable = {}, expiration?: string): Message {
  const properties = { contentType: 'text/plain', headers, ...(expiration && { expiration }) };
  return { exchange: 'x', routingKey: 'k', properties, body: Buffer.from('body') };
}

function death(over: Partial<Death> = {}): Death {
  return { queue: 'q', reason: 'expired', at: AT, exchange: 'dlx', routingKey: undefined, ...over };
}

describe('a dead letter', () => {
  it('has an event of its death, and its expiration there alone', () => {
    const before = message({ a: 1 }, '100');
    const letter = deadLetterOf(before, death());
    expect([letter.exchange, letter.routingKey, letter.body]).toEqual(['dlx', 'k', before.body]);
    expect(letter.properties).toEqual({
      contentType: 'text/plain',
      headers: {
        a: 1,
        'x-death': [
          {
            count: 1,
            reason: 'expired',
            queue: 'q',
            time: new Date(AT),
            exchange: 'x',
            'routing-keys': ['k'],
            'original-expiration': '100',
          },
        ],
        'x-first-death-exchange': 'x',
        'x-first-death-queue': 'q',
        'x-first-death-reason': 'expired',
      },
    });
  });

  it('counts deaths of the same kind in one event, the latest kind first', () => {
    let letter = deadLetterOf(message(), death({ reason: 'rejected' }));
    letter = deadLetterOf(letter, death({ queue: 'wait' }));
    letter = deadLetterOf(letter, death({ reason: 'rejected' }));
    expect(letter.properties.headers?.['x-death']).toMatchObject([
      { queue: 'q', reason: 'rejected', count: 2 },
      { queue: 'wait', reason: 'expired', count: 1 },
    ]);
    expect(letter.properties.headers?.['x-first-death-reason']).toBe('rejected');
  });

  it('keeps the types of its other headers', () => {
    const plain = propertyBytesOf(message());
    const bytes = withHeaders(plain, [longField('z', 5), ...fieldsOf(encodeTable({ a: 5 }))]);
    const letter = deadLetterOf(new EncodedMessage('x', 'k', bytes, Buffer.alloc(0)), death());
    const types = headersIn(propertyBytesOf(letter)).map((field) => [field.name, typeOf(field)]);
    expect(types[0]).toEqual(['a', 'signedint']);
    expect(types.at(-1)).toEqual(['z', 'long']);
  });

  it('loses its CC where it gets a key of its own', () => {
    const copied = message({ CC: ['c'] });
    expect(deadLetterOf(copied, death()).properties.headers?.['CC']).toEqual(['c']);
    const letter = deadLetterOf(copied, death({ routingKey: 'own' }));
    expect([letter.routingKey, letter.properties.headers?.['CC']]).toEqual(['own', undefined]);
    expect(letter.properties.headers?.['x-death']).toMatchObject([{ 'routing-keys': ['k', 'c'] }]);
  });

  it('takes a header that some client made up for none', () => {
    const letter = deadLetterOf(message({ 'x-death': 'nonsense' }), death());
    expect(letter.properties.headers?.['x-death']).toMatchObject([{ count: 1, queue: 'q' }]);
  });

  it('goes in a circle when it comes back without ever having been rejected since', () => {
    const once = deadLetterOf(message(), death());
    expect([isCycle(once, 'q'), isCycle(once, 'other')]).toEqual([true, false]);
    const rejected = deadLetterOf(once, death({ queue: 'work', reason: 'rejected' }));
    expect([isCycle(rejected, 'q'), isCycle(rejected, 'work')]).toEqual([false, false]);
    const again = deadLetterOf(rejected, death({ queue: 'third' }));
    expect([isCycle(again, 'third'), isCycle(again, 'q')]).toEqual([true, false]);
  });
});
