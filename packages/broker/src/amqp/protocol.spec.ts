import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

const PRINT = `
  import { readFileSync } from 'node:fs';
  import { generate } from './tools/generate-amqp.mjs';
  import { format } from 'prettier';
  const text = generate(readFileSync('packages/broker/spec/amqp-rabbitmq-0.9.1.json', 'utf8'));
  const options = JSON.parse(readFileSync('.prettierrc.json', 'utf8'));
  process.stdout.write(await format(text, { ...options, parser: 'typescript' }));
`;

it("the protocol's table is what its generator makes of the specification", () => {
  const made = execFileSync(process.execPath, ['--input-type=module', '-e', PRINT], { encoding: 'utf8' });
  expect(made).toBe(readFileSync('packages/broker/src/amqp/protocol.ts', 'utf8'));
});
