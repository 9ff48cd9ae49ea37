import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import { type ByteSet, WORD } from './byte-set.js';
import { parsePattern, type Place, type Syntax } from './syntax.js';

/** One state of an automaton, and the states that it leads to. */
type State =
  | { readonly kind: 'byte'; readonly set: ByteSet; readonly next: number }
  | { readonly kind: 'split'; readonly next: number[] }
  | { readonly kind: 'place'; readonly place: Place; readonly next: number }
  | { readonly kind: 'ahead'; readonly automaton: number; readonly negated: boolean; readonly next: number }
  | { readonly kind: 'accept' };

interface Automaton {
  readonly states: readonly State[];
  readonly start: number;
  /** By state: those that lead to it without taking a byte. */
  readonly before: readonly (readonly number[])[];
}

/**
 * A regular expression in a part of PCRE's syntax (docs/security.md), which takes time linear in the text, whatever the
 * expression: a stranger's name can't hang the broker. Matches anywhere in the text, unless anchored, as RabbitMQ's do.
 *
 * From the end of the text to its start it is told for each state of an automaton whether the rest can be matched from it.
 * Each look ahead has an automaton of its own, which comes before those that ask it.
 */
export class Pattern {
  readonly #automata: readonly Automaton[];
  /** What the first bytes of a text must be: most are told apart by these. */
  readonly #prefix: readonly ByteSet[];

  private constructor(
    readonly source: string,
    automata: readonly Automaton[],
    prefix: readonly ByteSet[],
  ) {
    this.#automata = automata;
    this.#prefix = prefix;
  }

  /** Throws INVALID_DEFINITION. */
  static of(source: string): Pattern {
    const compiler = new Compiler(source);
    const syntax = parsePattern(source);
    compiler.automaton(syntax);
    return new Pattern(source, compiler.automata, prefixOf(syntax));
  }

  matches(text: string): boolean {
    const bytes = Buffer.from(text);
    if (!this.#prefix.every((set, at) => at < bytes.length && set[bytes[at] as number] === 1)) return false;
    let after: Uint8Array[] = this.#automata.map(({ states }) => new Uint8Array(states.length));
    const main = this.#automata.length - 1;
    for (let at = bytes.length; at >= 0; at--) {
      const here: Uint8Array[] = [];
      for (const [i, automaton] of this.#automata.entries()) {
        here.push(reachable(automaton, after[i] as Uint8Array, bytes, at, this.#answers(here)));
      }
      if (here[main]?.[this.#automata[main]?.start as number] === 1) return true;
      after = here;
    }
    return false;
  }

  /** Whether the automata that were asked at this place match from it. */
  #answers(here: readonly Uint8Array[]): (automaton: number) => boolean {
    return (automaton) => here[automaton]?.[this.#automata[automaton]?.start as number] === 1;
  }
}

/** Of a pattern that is bound to the start: the bytes that it begins with. */
function prefixOf(syntax: Syntax): ByteSet[] {
  const [first, ...rest] = syntax.kind === 'sequence' ? syntax.parts : [];
  if (first?.kind !== 'place' || first.place !== 'start') return [];
  const end = rest.findIndex(({ kind }) => kind !== 'byte');
  const bytes = end === -1 ? rest : rest.slice(0, end);
  return bytes.flatMap((part) => (part.kind === 'byte' ? [part.set] : []));
}

/** The states from which the rest of the text can be matched. */
function reachable(
  { states, before }: Automaton,
  after: Uint8Array,
  bytes: Buffer,
  at: number,
  answer: (automaton: number) => boolean,
): Uint8Array {
  const here = new Uint8Array(states.length);
  const found: number[] = [];
  const add = (state: number): void => {
    if (here[state] === 1) return;
    here[state] = 1;
    found.push(state);
  };
  const byte = bytes[at];
  for (const [i, state] of states.entries()) {
    if (state.kind === 'accept') add(i);
    else if (state.kind === 'byte' && byte !== undefined && state.set[byte] === 1 && after[state.next] === 1)
      add(i);
  }
  for (let state = found.pop(); state !== undefined; state = found.pop()) {
    for (const i of before[state] as readonly number[]) {
      if (isPassable(states[i] as State, bytes, at, answer)) add(i);
    }
  }
  return here;
}

function isPassable(
  state: State,
  bytes: Buffer,
  at: number,
  answer: (automaton: number) => boolean,
): boolean {
  if (state.kind === 'place') return isAt(state.place, bytes, at);
  if (state.kind === 'ahead') return answer(state.automaton) !== state.negated;
  return state.kind === 'split';
}

function isAt(place: Place, bytes: Buffer, at: number): boolean {
  if (place === 'start') return at === 0;
  if (place === 'veryEnd') return at === bytes.length;
  if (place === 'end') return at === bytes.length || (at === bytes.length - 1 && bytes[at] === 0x0a);
  const isWord = (index: number): boolean => WORD[bytes[index] ?? 0] === 1;
  const isEdge = (at > 0 && isWord(at - 1)) !== (at < bytes.length && isWord(at));
  return isEdge === (place === 'edge');
}

class Compiler {
  readonly automata: Automaton[] = [];
  #steps = 0;

  constructor(private readonly source: string) {}

  /** Returns its number. */
  automaton(syntax: Syntax): number {
    const states: State[] = [{ kind: 'accept' }];
    const start = this.#compile(syntax, 0, states);
    this.automata.push({ states, start, before: silentEdgesInto(states) });
    return this.automata.length - 1;
  }

  /** Returns the state from which `syntax`, and then `next`, is matched. */
  #compile(syntax: Syntax, next: number, states: State[]): number {
    this.#count();
    switch (syntax.kind) {
      case 'byte':
        return this.#add({ kind: 'byte', set: syntax.set, next }, states);
      case 'place':
        return this.#add({ kind: 'place', place: syntax.place, next }, states);
      case 'sequence':
        return syntax.parts.reduceRight((then, part) => this.#compile(part, then, states), next);
      case 'choice': {
        const starts = syntax.parts.map((part) => this.#compile(part, next, states));
        return this.#add({ kind: 'split', next: starts }, states);
      }
      case 'ahead': {
        const automaton = this.automaton(syntax.part);
        return this.#add({ kind: 'ahead', automaton, negated: syntax.negated, next }, states);
      }
      case 'repeat':
      default:
        return this.#repeat(syntax, next, states);
    }
  }

  #repeat({ part, min, max }: Syntax & { kind: 'repeat' }, next: number, states: State[]): number {
    let start = next;
    if (max === Infinity) {
      const ends = [next];
      start = this.#add({ kind: 'split', next: ends }, states);
      ends.push(this.#compile(part, start, states));
    } else {
      for (let i = min; i < max; i++) {
        const once = this.#compile(part, start, states);
        start = this.#add({ kind: 'split', next: [once, next] }, states);
      }
    }
    for (let i = 0; i < min; i++) start = this.#compile(part, start, states);
    return start;
  }

  #add(state: State, states: State[]): number {
    return states.push(state) - 1;
  }

  /** Steps, not states: what is empty can be repeated as well. */
  #count(): void {
    if (++this.#steps <= LIMITS.patternStatesMax) return;
    throw new BrokerError('INVALID_DEFINITION', `The regular expression '${this.source}' is too large.`, {
      cure: 'Give smaller numbers of repetitions.',
    });
  }
}

function silentEdgesInto(states: readonly State[]): number[][] {
  const before: number[][] = states.map(() => []);
  for (const [i, state] of states.entries()) {
    if (state.kind === 'split') for (const next of state.next) before[next]?.push(i);
    if (state.kind === 'place' || state.kind === 'ahead') before[state.next]?.push(i);
  }
  return before;
}
