import 'reflect-metadata';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { startHandlers } from '../start.js';

interface Reading {
  readonly sensor: string;
  readonly celsius: number;
}

/** Handles what a Python program sends; nothing here is made for it. */
@Controller()
class ReadingsController {
  readonly #latest = new Map<string, number>();

  @EventPattern('reading.taken')
  take(@Payload() { sensor, celsius }: Reading): void {
    this.#latest.set(sensor, celsius);
    console.log(`${sensor}: ${celsius} °C`);
  }

  @MessagePattern('reading.latest')
  latest(@Payload() sensor: string): { sensor: string; celsius: number | null } {
    return { sensor, celsius: this.#latest.get(sensor) ?? null };
  }
}

const port = Number(process.env['AMQP_PORT'] ?? 5672);

await startHandlers({ url: 'file:./data/readings', queue: 'readings', broker: { listen: { port } } }, [
  ReadingsController,
]);
console.log(`AMQP on port ${port}`);
