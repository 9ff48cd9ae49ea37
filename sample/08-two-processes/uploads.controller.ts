import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { QueueClient } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';

@Controller('photos')
export class UploadsController {
  constructor(private readonly queue: QueueClient) {}

  /** 202: it is on the disk, whether or not a worker is there. */
  @Post()
  @HttpCode(202)
  async upload(@Body() { photo }: { photo: string }): Promise<{ photo: string }> {
    await lastValueFrom(this.queue.emit('photo.uploaded', { photo }));
    return { photo };
  }
}
