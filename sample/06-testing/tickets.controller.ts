import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { OrderingKey, QueueContext, Retry } from '@nestmq/transport';
import { Outside, type Ticket } from './ferry.js';

@Controller()
export class TicketsController {
  constructor(private readonly outside: Outside) {}

  /** A text costs money and is no ticket: better none than two. So it is settled before it is sent. */
  @EventPattern<string>('ticket.issued')
  async tell(@Payload() { seat, passenger }: Ticket, @Ctx() context: QueueContext): Promise<void> {
    context.ack();
    await this.outside.text(passenger, `your seat is ${seat}`);
  }

  /** The harbour's list of each seat must end up right: in order, however long it takes. */
  @EventPattern<string>('ticket.*', { queue: 'harbour' })
  @OrderingKey('seat')
  @Retry({ attempts: 100, delay: '30s', backoff: 'fixed', jitter: 0 })
  async list(@Payload() { seat }: Ticket, @Ctx() { pattern }: QueueContext): Promise<void> {
    await this.outside.report(`seat ${seat}: ${pattern === 'ticket.issued' ? 'sold' : 'on board'}`);
  }
}
