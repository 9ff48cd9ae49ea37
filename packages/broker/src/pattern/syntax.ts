import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import {
  type ByteSet,
  complement,
  DOT,
  ESCAPED_BYTES,
  ESCAPED_SETS,
  rangeSet,
  union,
  withBothCases,
} from './byte-set.js';

/** A place without width: before everything, at the end (or before a last line feed), at the very end, at a word's edge. */
export type Place = 'start' | 'end' | 'veryEnd' | 'edge' | 'noEdge';

/** A regular expression, parsed. */
export type Syntax =
  | { readonly kind: 'byte'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Syntax[] }
  | { readonly kind: 'choice'; readonly parts: readonly Syntax[] }
  | { readonly kind: 'repeat'; readonly part: Syntax; readonly min: number; readonly max: number }
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'ahead'; readonly part: Syntax; readonly negated: boolean };

const PLACES: Readonly<Record<string, Place>> = {
  A: 'start',
  Z: 'end',
  z: 'veryEnd',
  b: 'edge',
  B: 'noEdge',
};

/**
 * Reads the part of PCRE's syntax that can be matched in linear time (docs/security.md lists it). Throws
 * INVALID_DEFINITION for the rest, and for what is no regular expression at all.
 */
export function parsePattern(source: string): Syntax {
  if (source.length > LIMITS.patternCharactersMax) {
    throw new BrokerError(
      'INVALID_DEFINITION',
      `The regular expression '${source.slice(0, 40)}…' has ${source.length} characters.`,
      { cure: `Give one of at most ${LIMITS.patternCharactersMax}.` },
    );
  }
  return new PatternParser(source).parse();
}

class PatternParser {
  /** As bytes, as RabbitMQ matches them: a character outside of ASCII is several. */
  readonly #text: string;
  #at = 0;
  #ignoresCase = false;

  constructor(private readonly source: string) {
    this.#text = Buffer.from(source).toString('latin1');
  }

  parse(): Syntax {
    this.#ignoresCase = this.#takes('(?i)');
    const whole = this.#choice();
    if (this.#at < this.#text.length) throw this.#wrong('a ) without its (');
    return whole;
  }

  #choice(): Syntax {
    const parts = [this.#sequence()];
    while (this.#takes('|')) parts.push(this.#sequence());
    return parts.length === 1 ? (parts[0] as Syntax) : { kind: 'choice', parts };
  }

  #sequence(): Syntax {
    const parts: Syntax[] = [];
    while (this.#at < this.#text.length && !'|)'.includes(this.#text[this.#at] as string)) {
      parts.push(this.#repeated(this.#atom()));
    }
    return { kind: 'sequence', parts };
  }

  #repeated(part: Syntax): Syntax {
    const bounds = this.#bounds();
    if (bounds === undefined) return part;
    // How much it prefers to take does not change whether it matches.
    this.#takes('?');
    if (this.#takes('+')) throw this.#unsupported('possessive repetition');
    if (this.#bounds() !== undefined) throw this.#wrong('a repetition of a repetition');
    return { kind: 'repeat', part, ...bounds };
  }

  #bounds(): { min: number; max: number } | undefined {
    if (this.#takes('*')) return { min: 0, max: Infinity };
    if (this.#takes('+')) return { min: 1, max: Infinity };
    if (this.#takes('?')) return { min: 0, max: 1 };
    // Anything else in braces is literal, as in PCRE.
    const [all, from = '', comma, to = ''] = /^\{(\d+)(,?)(\d*)\}/.exec(this.#text.slice(this.#at)) ?? [];
    if (all === undefined || (comma === '' && to !== '')) return undefined;
    this.#at += all.length;
    const min = Number(from);
    const open = to === '' ? Infinity : Number(to);
    const max = comma === '' ? min : open;
    if (max < min) throw this.#wrong(`{${min},${max}}`);
    return { min, max };
  }

  #atom(): Syntax {
    const character = this.#next();
    if (character === '(') return this.#group();
    if (character === '[') return this.#byte(this.#bracket());
    if (character === '\\') return this.#escaped();
    if (character === '.') return { kind: 'byte', set: DOT };
    if (character === '^') return { kind: 'place', place: 'start' };
    if (character === '$') return { kind: 'place', place: 'end' };
    if ('*+?'.includes(character)) throw this.#wrong(`nothing before '${character}' to repeat`);
    return this.#byte(literal(character));
  }

  #byte(set: ByteSet): Syntax {
    return { kind: 'byte', set: this.#ignoresCase ? withBothCases(set) : set };
  }

  #group(): Syntax {
    const ahead = this.#takes('?!') ? 'negated' : this.#takes('?=') && 'positive';
    if (ahead === false && !this.#takes('?:') && '?*'.includes(this.#text[this.#at] ?? ' ')) {
      throw this.#unsupported(`(${this.#text.slice(this.#at, this.#at + 2)}`);
    }
    const part = this.#choice();
    if (!this.#takes(')')) throw this.#wrong('a ( without its )');
    return ahead === false ? part : { kind: 'ahead', part, negated: ahead === 'negated' };
  }

  #escaped(): Syntax {
    const character = this.#next();
    const place = PLACES[character];
    return place === undefined ? this.#byte(this.#escapedSet(character)) : { kind: 'place', place };
  }

  /** What a backslash and this character stand for, in and outside of brackets. */
  #escapedSet(character: string): ByteSet {
    const set = ESCAPED_SETS[character];
    if (set !== undefined) return set;
    const byte = ESCAPED_BYTES[character];
    if (byte !== undefined) return rangeSet(byte, byte);
    if (character === 'x') return this.#hexadecimal();
    if (/[a-z0-9]/i.test(character)) throw this.#unsupported(`\\${character}`);
    return literal(character);
  }

  #hexadecimal(): ByteSet {
    const digits = /^[0-9a-f]{2}/i.exec(this.#text.slice(this.#at))?.[0];
    if (digits === undefined) throw this.#unsupported(String.raw`\x without two digits`);
    this.#at += 2;
    return literal(String.fromCodePoint(Number.parseInt(digits, 16)));
  }

  /** After its opening one. A closing one that comes first is literal, as in PCRE. */
  #bracket(): ByteSet {
    const negated = this.#takes('^');
    const sets: ByteSet[] = [];
    do sets.push(this.#bracketItem());
    while (!this.#takes(']'));
    const set = union(sets);
    // Before it is negated: neither case of what is excluded matches.
    const folded = this.#ignoresCase ? withBothCases(set) : set;
    return negated ? complement(folded) : folded;
  }

  #bracketItem(): ByteSet {
    if (/^\[[:.=]/.test(this.#text.slice(this.#at))) throw this.#unsupported('[: :]');
    const first = this.#bracketCharacter();
    if (!/^-[^\]]/.test(this.#text.slice(this.#at))) return first;
    this.#at++;
    const [from, to] = [onlyByteOf(first), onlyByteOf(this.#bracketCharacter())];
    if (from === undefined || to === undefined || from > to) throw this.#wrong('a range in [] that is none');
    return rangeSet(from, to);
  }

  #bracketCharacter(): ByteSet {
    const character = this.#next();
    if (character !== '\\') return literal(character);
    const escaped = this.#next();
    return escaped === 'b' ? rangeSet(0x08, 0x08) : this.#escapedSet(escaped);
  }

  #next(): string {
    const character = this.#text[this.#at++];
    if (character === undefined) throw this.#wrong('it ends too early');
    return character;
  }

  #takes(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #wrong(why: string): BrokerError {
    const what = `'${this.source}' is no regular expression: ${why}, at ${this.#at}.`;
    return new BrokerError('INVALID_DEFINITION', what);
  }

  #unsupported(what: string): BrokerError {
    return new BrokerError('INVALID_DEFINITION', `'${this.source}' uses ${what}, at ${this.#at}.`, {
      cure: 'Give a regular expression without it: what could take longer than linear time is not supported.',
    });
  }
}

function literal(character: string): ByteSet {
  const byte = character.codePointAt(0) as number;
  return rangeSet(byte, byte);
}

/** Undefined when there are several. */
function onlyByteOf(set: ByteSet): number | undefined {
  const byte = set.indexOf(1);
  return byte === set.lastIndexOf(1) ? byte : undefined;
}
