import { Controller, Module } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueClient, QueueContext, QueueModule } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { EVENT, type Invoice, type Order } from './order.js';
import { Shop } from './shop.js';

const TAX_PERCENT: Record<string, number> = { DE: 19, NL: 21, FR: 20, IT: 22, PL: 23, SE: 25 };

export function invoiceFor(order: Order): Invoice {
  const netCents = order.lines.reduce((sum, line) => sum + line.unitPriceCents * line.quantity, 0);
  const taxCents = Math.round((netCents * (TAX_PERCENT[order.customer.country] ?? 0)) / 100);
  return {
    orderId: order.id,
    number: `inv-${order.id}`,
    netCents,
    taxCents,
    grossCents: netCents + taxCents,
    currency: order.currency,
    shipTo: order.shipTo,
  };
}

@Controller()
export class BillingController {
  constructor(
    private readonly shop: Shop,
    private readonly queue: QueueClient,
  ) {}

  /** Record, then emit, then ack (by returning): a crash in between repeats, and a repeat finds the same invoice. */
  @EventPattern<string>(EVENT.placed)
  async bill(@Payload() order: Order, @Ctx() context: QueueContext): Promise<void> {
    this.shop.countDelivery(context);
    const invoice = await this.shop.invoices.record(order.id, invoiceFor(order));
    await lastValueFrom(this.queue.emit(EVENT.invoiced, invoice));
  }
}

@Module({ imports: [QueueModule.forFeature({ queue: 'billing' })], controllers: [BillingController] })
export class BillingModule {}
