import { Controller, Injectable } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { Batch, OrderingKey, QueueBatchContext, QueueContext, Retry, Schedule } from '@nestmq/transport';

export interface Movement {
  readonly article: string;
  readonly step: string;
  /** Whether its first try fails. */
  readonly isJammed?: boolean;
}

/** What happened, in order. */
@Injectable()
export class Journal {
  readonly lines: string[] = [];
}

@Controller()
export class WarehouseController {
  constructor(private readonly journal: Journal) {}

  /** Every morning, in one instance of however many. */
  @EventPattern<string>('stock.count')
  @Schedule({ cron: '0 6 * * *', timeZone: 'Europe/Berlin' })
  count(@Payload() { scheduledAt }: { scheduledAt: string }): void {
    this.journal.lines.push(`count     ${scheduledAt}`);
  }

  /** Emitted with a delay. */
  @EventPattern('pickup.reminder')
  remind(@Payload() { order }: { order: string }): void {
    this.journal.lines.push(`reminder  ${order}`);
  }

  /** Of one article in the order in which they were emitted, also when one fails; articles do not wait for each other. */
  @EventPattern<string>('stock.moved')
  @OrderingKey('article')
  @Retry({ attempts: 3, delay: '1m' })
  move(@Payload() { article, step, isJammed }: Movement, @Ctx() { attempt }: QueueContext): void {
    if (isJammed === true && attempt === 1) {
      this.journal.lines.push(`move      ${article} ${step}: jammed`);
      throw new Error('the belt is jammed');
    }
    this.journal.lines.push(`move      ${article} ${step}`);
  }

  /** Three labels go to the printer together, or fewer after ten seconds. */
  @EventPattern<string>('label.wanted')
  @Batch({ size: 3, timeoutMs: '10s' })
  print(@Payload() labels: string[], @Ctx() context: QueueBatchContext): void {
    this.journal.lines.push(`labels    ${labels.join(' ')} (${context.messages.length} at once)`);
  }
}
