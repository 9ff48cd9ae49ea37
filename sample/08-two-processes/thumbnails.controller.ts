import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueContext } from '@nestmq/transport';

/** Long enough to be killed in. Milliseconds. */
const WORK_MS = 2000;

/** The worker's: knows a queue and a pattern, and not who emits. */
@Controller()
export class ThumbnailsController {
  @EventPattern<string>('photo.uploaded')
  async scale(@Payload() { photo }: { photo: string }, @Ctx() context: QueueContext): Promise<void> {
    console.log(`scaling ${photo}${context.redelivered ? ', again' : ''} …`);
    await new Promise((resolve) => {
      setTimeout(resolve, WORK_MS);
    });
    console.log(`scaled ${photo}`);
  }
}
