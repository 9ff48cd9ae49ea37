import 'reflect-metadata';
import { Body, Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { QueueClient, QueueModule, QueueServer } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';

@Controller()
class SignupController {
  constructor(private readonly queue: QueueClient) {}

  @Post('signup')
  async signup(@Body() user: { email: string }) {
    await lastValueFrom(this.queue.emit('user.signed-up', user));
    return { queued: user.email }; // it is on the disk now
  }

  @EventPattern('user.signed-up')
  async welcome(@Payload() user: { email: string }) {
    console.log(`writing to ${user.email} …`);
    await new Promise((resolve) => setTimeout(resolve, 5000));
    console.log(`wrote to ${user.email}`);
  }
}

@Module({
  imports: [QueueModule.forRoot({ url: 'file:./data/mq', queue: 'mail' })],
  controllers: [SignupController],
})
class AppModule {}

const app = await NestFactory.create(AppModule);
app.enableShutdownHooks();
app.connectMicroservice({ strategy: app.get(QueueServer) });
await app.init();
await app.startAllMicroservices();
await app.listen(process.env['PORT'] ?? 3000);
