import 'reflect-metadata';
import { run } from './run.js';

for (const line of await run('memory:')) console.log(line);
