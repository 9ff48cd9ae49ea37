import { lastValueFrom } from 'rxjs';
import { until } from '../waiting.js';
import { database } from './stock.controller.js';
import { caller, service } from './transports.js';

const STEPS = [
  { step: "both on Nest's RMQ transport", serve: service.before, call: caller.before, isKept: false },
  { step: 'the service has moved', serve: service.after, call: caller.before, isKept: true },
  { step: 'the caller has moved as well', serve: service.after, call: caller.after, isKept: true },
] as const;

/** A service and its caller move from Nest's RMQ transport, one at a time. Resolves with what happened. */
export async function run(url: string): Promise<readonly string[]> {
  const { log } = database;
  for (const [number, { step, serve, call, isKept }] of STEPS.entries()) {
    log.push(step);
    const app = await serve(url);
    const client = call(url);
    const id = `event ${number + 1}`;
    await lastValueFrom(client.emit('stock.taken', { id, count: 2 }), { defaultValue: undefined });
    if (isKept) await until(() => log.includes(`  ${id}: 2 taken`));
    log.push(`  answer: ${await lastValueFrom(client.send<string>({ cmd: 'stock' }, 'mug'))}`);
    await client.close();
    await app.close();
  }
  return log;
}
