import { elementsOf, fieldsOf, typeOf, valueOf } from './fields.js';

/**
 * A field's value as RabbitMQ shows it in its errors, which is as an Erlang term: `<<"text">>`, `5`, `1.5`, `true`,
 * `undefined`, `[{<<"name">>,longstr,<<"text">>}]`.
 */
export function shownTerm(bytes: Buffer): string {
  const type = typeOf({ bytes });
  if (type === 'longstr' || type === 'binary') return shownBinary(bytes.subarray(5));
  if (type === 'void') return 'undefined';
  if (type === 'table') {
    const fields = fieldsOf(bytes.subarray(1));
    const shown = fields.map((one) => `{${shownBinary(Buffer.from(one.name))},${shownTyped(one.bytes)}}`);
    return `[${shown.join(',')}]`;
  }
  if (type === 'array') {
    const elements = elementsOf({ name: '', bytes });
    return `[${elements.map((one) => `{${shownTyped(one)}}`).join(',')}]`;
  }
  const value = valueOf({ bytes }) as number | bigint | boolean | Date;
  if (value instanceof Date) return String(value.getTime() / 1000);
  const isWholeFloat = (type === 'float' || type === 'double') && Number.isInteger(value);
  return isWholeFloat ? `${String(value)}.0` : String(value);
}

/** `<<"text">>` where it can be printed, else its octets: `<<1,2,3>>`. */
export function shownBinary(bytes: Buffer): string {
  if (bytes.length === 0) return '<<>>';
  const text = bytes.toString('latin1');
  return /^[ -~]*$/.test(text) ? `<<"${text.replaceAll(/["\\]/g, '\\$&')}">>` : `<<${[...bytes].join(',')}>>`;
}

function shownTyped(bytes: Buffer): string {
  return `${typeOf({ bytes })},${shownTerm(bytes)}`;
}
