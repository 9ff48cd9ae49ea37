import 'reflect-metadata';
import { HELP, parseOptions, type SampleOptions } from './options.js';
import { formatSummary, runShop } from './run.js';

const EXIT_USAGE = 2;

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') process.stdout.write(HELP);
  else await run(options);
} catch (error) {
  const misused = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ?? false;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${misused ? HELP : ''}`);
  process.exitCode = misused ? EXIT_USAGE : 1;
}

async function run(options: SampleOptions): Promise<void> {
  const { app, summary, placedNow } = await runShop(options, process.stdout);
  if (options.once) {
    await app.close();
    process.stdout.write(`${formatSummary(summary, placedNow)}\n`);
    process.exitCode = summary.lost === 0 ? 0 : 1;
    return;
  }
  process.stdout.write(`${formatSummary(summary, placedNow)}\n`);
  try {
    await app.listen(options.port, '127.0.0.1');
  } catch (error) {
    await app.close();
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`Port ${options.port} is taken. Give another one: npm start -- --port 3001`, {
      cause: error,
    });
  }
  process.stdout.write(usage(await app.getUrl()));
}

function usage(url: string): string {
  return `
Listening on ${url}; Ctrl-C ends. Try:

  curl -s ${url}/orders/ord-000042
  curl -s ${url}/orders -H 'content-type: application/json' -d '{
    "customer": { "name": "Ada Lovelace", "email": "ada@example.org", "country": "DE" }, "currency": "EUR",
    "lines": [{ "sku": "MUG-BLUE", "name": "Mug, stoneware, blue", "unitPriceCents": 1450, "quantity": 2 }],
    "shipTo": { "street": "Hauptstraße 1", "postcode": "10115", "city": "Berlin", "country": "DE" } }'
`;
}
