// `npm test`: everything that must hold, in the order in which it fails fastest.
import { clean, node, setUp } from './setup.mjs';

const steps = [
  ['format', 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
  ['lint and layering', 'node_modules/oxlint/bin/oxlint'],
  [
    'tests',
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    ...process.argv.slice(2),
  ],
  ['benchmarks, smoke run', '--enable-source-maps', 'test/dist/benchmarks/run.js', '--smoke'],
];

const step = (name) => console.log(`\n— ${name}`);

step('install and build');
clean();
setUp();
for (const [name, ...args] of steps) {
  step(name);
  node(...args);
}
console.log('\nAll that must hold holds.');
