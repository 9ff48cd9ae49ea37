import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';

interface Taken {
  readonly id: string;
  readonly count: number;
}

/** Outlives each of the services here, as a database does. */
export const database = { mugs: 12, tried: new Set<string>(), log: new Array<string>() };

/** The service. It stays as it is: neither transport is to be seen here. */
@Controller()
export class StockController {
  @MessagePattern({ cmd: 'stock' })
  stock(@Payload() article: string): string {
    return `${database.mugs} ${article}s`;
  }

  /** Fails at the first try of each, as a handler does whose database is away for a moment. */
  @EventPattern('stock.taken')
  take(@Payload() { id, count }: Taken): void {
    if (!database.tried.has(id)) {
      database.tried.add(id);
      database.log.push(`  ${id}: the database is away`);
      throw new Error('the database is away');
    }
    database.mugs -= count;
    database.log.push(`  ${id}: ${count} taken`);
  }
}
