import { Controller, Injectable } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueContext, Retry, UnrecoverableException } from '@nestmq/transport';

export interface Payment {
  readonly id: string;
  readonly account: 'open' | 'closed';
}

export class BankAwayError extends Error {
  override readonly name = 'BankAwayError';
}

/** Stands for a service that is not always there. */
@Injectable()
export class Bank {
  readonly log: string[] = [];
  readonly paid = new Set<string>();
  /** How often it does not answer from now on. */
  failures = 0;

  charge({ id, account }: Payment): void {
    if (this.failures > 0) {
      this.failures--;
      throw new BankAwayError('the bank does not answer');
    }
    // No later try would change that.
    if (account === 'closed') throw new UnrecoverableException('the account is closed');
    this.paid.add(id);
  }
}

@Controller()
export class PaymentsController {
  constructor(private readonly bank: Bank) {}

  @EventPattern<string>('payment.due')
  @Retry({ attempts: 3, delay: ['20ms', '100ms'] })
  pay(@Payload() payment: Payment, @Ctx() context: QueueContext): void {
    this.#note(payment, context, () => this.bank.charge(payment));
  }

  #note({ id }: Payment, { attempt, maxAttempts }: QueueContext, charge: () => void): void {
    const at = `${id}  attempt ${attempt} of ${maxAttempts}`;
    try {
      charge();
    } catch (error) {
      this.bank.log.push(`${at}: ${(error as Error).message}`);
      throw error;
    }
    this.bank.log.push(`${at}: paid`);
  }
}
