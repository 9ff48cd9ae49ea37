import { Controller, Module } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueContext, QueueModule } from '@nestmq/transport';
import { Shop } from './shop.js';

@Controller()
export class AuditController {
  constructor(private readonly shop: Shop) {}

  /** Every event of the shop, each message written down once. */
  @EventPattern<string>('#')
  async audit(
    @Payload() event: { id?: string; orderId?: string },
    @Ctx() context: QueueContext,
  ): Promise<void> {
    this.shop.countDelivery(context);
    await this.shop.recordAudit(context.messageId, context.getPattern(), event.orderId ?? event.id ?? '');
  }
}

@Module({ imports: [QueueModule.forFeature({ queue: 'audit' })], controllers: [AuditController] })
export class AuditModule {}
