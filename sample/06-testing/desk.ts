import { Injectable } from '@nestjs/common';
import { QueueClient, QueueRecordBuilder } from '@nestmq/transport';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import type { Hold, Payment, Ticket } from './ferry.js';

/** Where people book; an application would have it behind HTTP. */
@Injectable()
export class Desk {
  constructor(private readonly queue: QueueClient) {}

  /** A seat for a quarter of an hour. Rejects with SOLD_OUT when there is none. */
  async book(passenger: string): Promise<Hold> {
    return firstValueFrom(this.queue.send<Hold>('seat.hold', { passenger }));
  }

  /** What the bank calls, at times twice. When it resolves the payment is on the disk. */
  async paid(payment: Payment): Promise<void> {
    const record = new QueueRecordBuilder(payment).setDeduplicationId(payment.reference).build();
    await lastValueFrom(this.queue.emit('payment.received', record));
  }

  async boarded({ seat, passenger }: Ticket): Promise<void> {
    await lastValueFrom(this.queue.emit('ticket.used', { seat, passenger }));
  }
}
