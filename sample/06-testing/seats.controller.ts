import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import {
  DeadLetter,
  Deduplicate,
  QueueClient,
  QueueRecordBuilder,
  Retry,
  UnrecoverableException,
} from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { type Hold, Outside, type Payment, Seats } from './ferry.js';

@Controller()
export class SeatsController {
  constructor(
    private readonly seats: Seats,
    private readonly outside: Outside,
    private readonly queue: QueueClient,
  ) {}

  @MessagePattern('seat.hold')
  async hold(@Payload('passenger') passenger: string): Promise<Hold> {
    const hold = this.seats.hold(passenger);
    if (hold === undefined) throw new RpcException({ code: 'SOLD_OUT' });
    const record = new QueueRecordBuilder(hold).setDelay('15m').build();
    await lastValueFrom(this.queue.emit('hold.over', record));
    return hold;
  }

  @EventPattern('hold.over')
  release(@Payload() hold: Hold): void {
    this.seats.release(hold);
  }

  /** Once a payment; the printer may be away for an hour. What is given up is paid back, by people. */
  @EventPattern<string>('payment.received')
  @Deduplicate({ window: '7d' })
  @Retry({ attempts: 4, delay: ['1m', '10m', '1h'], jitter: 0 })
  @DeadLetter('refunds')
  async issue(@Payload() { hold }: Payment): Promise<void> {
    if (!this.seats.sell(hold)) throw new UnrecoverableException('the seat is somebody else’s');
    const ticket = { seat: hold.seat, passenger: hold.passenger };
    await this.outside.print(ticket);
    await lastValueFrom(this.queue.emit('ticket.issued', ticket));
  }
}
