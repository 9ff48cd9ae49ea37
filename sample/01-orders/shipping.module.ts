import { Controller, Module } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueClient, QueueContext, QueueModule } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { EVENT, type Invoice } from './order.js';
import { Shop } from './shop.js';

@Controller()
export class ShippingController {
  constructor(
    private readonly shop: Shop,
    private readonly queue: QueueClient,
  ) {}

  /** One parcel an order, however often its invoice comes. */
  @EventPattern<string>(EVENT.invoiced)
  async ship(@Payload() invoice: Invoice, @Ctx() context: QueueContext): Promise<void> {
    this.shop.countDelivery(context);
    const { orderId, shipTo } = invoice;
    const parcel = await this.shop.parcels.record(orderId, {
      orderId,
      trackingCode: `trk-${orderId}`,
      city: shipTo.city,
    });
    await lastValueFrom(this.queue.emit(EVENT.shipped, parcel));
  }
}

@Module({ imports: [QueueModule.forFeature({ queue: 'shipping' })], controllers: [ShippingController] })
export class ShippingModule {}
