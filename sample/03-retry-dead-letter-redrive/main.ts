import 'reflect-metadata';
import { run } from './run.js';

for (const line of await run('file:./data/payments')) console.log(line);
