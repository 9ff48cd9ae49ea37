import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Module, NotFoundException, Param, Post } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { QueueClient, QueueContext, QueueModule } from '@nestmq/transport';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { EVENT, type Invoice, type Order, type Parcel, parseNewOrder } from './order.js';
import { Shop } from './shop.js';

export interface OrderState {
  readonly order: Order | null;
  readonly invoice: Invoice | null;
  readonly parcel: Parcel | null;
}

/** Answers what became of an order. */
@Controller()
export class OrdersController {
  constructor(private readonly shop: Shop) {}

  @EventPattern<string>(EVENT.placed)
  async keep(@Payload() order: Order, @Ctx() context: QueueContext): Promise<void> {
    this.shop.countDelivery(context);
    await this.shop.orders.record(order.id, order);
  }

  @MessagePattern('order.get')
  get(@Payload() id: string): OrderState {
    return {
      order: this.shop.orders.get(id) ?? null,
      invoice: this.shop.invoices.get(id) ?? null,
      parcel: this.shop.parcels.get(id) ?? null,
    };
  }
}

/** The HTTP API: knows the queue only. */
@Controller('orders')
export class OrdersHttpController {
  constructor(
    private readonly shop: Shop,
    private readonly queue: QueueClient,
  ) {}

  /** 202: the order is on the disk, and everything else will follow. */
  @Post()
  @HttpCode(202)
  async place(@Body() body: unknown): Promise<{ id: string }> {
    const order: Order = {
      id: `web-${randomUUID()}`,
      placedAt: new Date().toISOString(),
      ...parseNewOrder(body),
    };
    await lastValueFrom(this.queue.emit(EVENT.placed, order));
    await this.shop.placed.record(order.id, true);
    return { id: order.id };
  }

  @Get(':id')
  async get(@Param('id') id: string): Promise<OrderState> {
    const state = await firstValueFrom(this.queue.send<OrderState>('order.get', id));
    if (state.order === null) throw new NotFoundException(`There is no order '${id}'.`);
    return state;
  }
}

@Module({
  imports: [QueueModule.forFeature({ queue: 'orders' })],
  controllers: [OrdersController, OrdersHttpController],
})
export class OrdersModule {}
