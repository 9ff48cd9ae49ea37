import { Module } from '@nestjs/common';
import { QueueModule } from '@nestmq/transport';
import { Desk } from './desk.js';
import { Outside, Seats } from './ferry.js';
import { SeatsController } from './seats.controller.js';
import { Terminal } from './terminal.js';
import { TicketsController } from './tickets.controller.js';

@Module({
  imports: [QueueModule.forRoot({ url: process.env['FERRY_URL'] ?? 'file:./data/ferry', queue: 'ferry' })],
  controllers: [SeatsController, TicketsController],
  providers: [Desk, Seats, { provide: Outside, useClass: Terminal }],
})
export class FerryModule {}
