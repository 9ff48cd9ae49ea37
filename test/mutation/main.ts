import { mutate, UNCHANGED, type Verdict } from './mutate.js';
import { MUTATIONS } from './mutations.js';

/** Breaks a copy of sample/06-testing in each way, and prints which test has found it. Exit code 1 when one was not. */
const startedAt = performance.now();
const verdicts = await mutate(MUTATIONS);
const width = Math.max(...MUTATIONS.map(({ name }) => name.length));
for (const [name, verdict] of verdicts) {
  const [first, ...more] = linesOf(name, verdict);
  console.log(`${name.padEnd(width)}  ${first}`);
  for (const line of more) console.log(`${' '.repeat(width)}  ${line}`);
}
const missed = [...verdicts].filter(([name, { caughtBy }]) => name !== UNCHANGED && caughtBy.length === 0);
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
console.log(`\n${MUTATIONS.length - missed.length} of ${MUTATIONS.length} caught, in ${seconds} s`);
const isRight =
  verdicts.get(UNCHANGED)?.caughtBy.length === 0 && verdicts.get(UNCHANGED)?.broken === undefined;
process.exitCode = missed.length === 0 && isRight ? 0 : 1;

function linesOf(name: string, { caughtBy, broken }: Verdict): readonly string[] {
  if (broken !== undefined) return [`does not run: ${broken}`];
  if (caughtBy.length > 0) return caughtBy;
  return [name === UNCHANGED ? 'all tests pass' : 'NOT CAUGHT'];
}
