import { type EnginePhase, PLANS } from './engine-plans.js';
import { openSession } from './engine-session.js';
import { Handler } from './handler.js';
import { Publisher } from './publisher.js';

/**
 * The broker without an application, to be killed. What was confirmed, delivered, handled and durably settled is
 * written to the ledger.
 *
 *     node engine-worker.js PHASE work DIRECTORY LEDGER FIRST-NUMBER       publishes and consumes for ever
 *     node engine-worker.js PHASE publish DIRECTORY LEDGER FIRST-NUMBER    only publishes
 *     node engine-worker.js PHASE consume DIRECTORY LEDGER                 only consumes
 *     node engine-worker.js PHASE drain DIRECTORY LEDGER                   handles what is left, then ends
 */
const [phase = '', mode = '', directory = '', ledger = '', first = '0'] = process.argv.slice(2);
const plan = PLANS[phase as EnginePhase];
const session = await openSession(plan, directory, ledger);

if (mode === 'drain') await drain();
else liveWithParent();
if (mode === 'work' || mode === 'consume') consume();
if (mode === 'work' || mode === 'publish') {
  new Publisher(session, { first: Number(first), mayBeRefused: plan.diskFreeBytesMin !== undefined }).start();
}

function consume(): void {
  for (const [queue, decide] of Object.entries(plan.decisions)) {
    if (decide !== undefined) new Handler(session, queue, decide).start();
  }
}

/** An engine that has nothing to do would end; one whose parent is gone would never end. */
function liveWithParent(): void {
  process.stdin.resume();
  process.stdin.once('end', () => process.exit(1));
}

/** What is not handled then is lost. */
async function drain(): Promise<void> {
  const handlers = Object.keys(plan.decisions).map((queue) => new Handler(session, queue, () => 'ack'));
  for (const handler of handlers) handler.start();
  await Promise.all(handlers.map((handler) => handler.drained()));
  await session.settlements.flush();
  await session.close();
}
