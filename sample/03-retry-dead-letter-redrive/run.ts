import { QueueAdmin, QueueClient } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { startHandlers } from '../start.js';
import { until } from '../waiting.js';
import { Bank, type Payment, PaymentsController } from './payments.controller.js';

/** Three payments of different fates, and what an operator does about those that failed. Resolves with what happened. */
export async function run(url: string): Promise<readonly string[]> {
  const app = await startHandlers({ url, queue: 'payments' }, [PaymentsController], [Bank]);
  try {
    const bank = app.get(Bank);
    const letters = app.get(QueueAdmin).deadLetters('payments');
    const due = (payment: Payment): Promise<unknown> =>
      lastValueFrom(app.get(QueueClient).emit('payment.due', payment));
    const dead = async (count: number): Promise<boolean> => (await letters.list()).length === count;

    bank.failures = 1;
    await due({ id: 'pay-1', account: 'open' });
    await until(() => bank.paid.has('pay-1'));

    await due({ id: 'pay-2', account: 'closed' });
    await until(() => dead(1));

    bank.failures = Number.POSITIVE_INFINITY;
    await due({ id: 'pay-3', account: 'open' });
    await until(() => dead(2));

    for (const { data, reason, attempts, error } of await letters.list()) {
      bank.log.push(`dead: ${(data as Payment).id}  ${reason}, tried ${attempts}: ${error?.message ?? ''}`);
    }

    bank.failures = 0;
    bank.log.push('the bank is back');
    const redriven = await letters.redrive({ filter: ({ error }) => error?.name === 'BankAwayError' });
    await until(() => bank.paid.has('pay-3'));

    const discarded = await letters.discard({ filter: ({ reason }) => reason === 'unrecoverable' });
    const left = (await letters.list()).length;
    bank.log.push(`${redriven.count} redriven, ${discarded.count} discarded, ${left} left`);
    return bank.log;
  } finally {
    await app.close();
  }
}
