import type { LoggerService } from '@nestjs/common';
import type { Clock } from '@nestmq/broker';
import type { Link, QueueDeclaration } from '../links/link.js';
import type { Wire } from '../wire/wire.js';
import type { QueueHandlers } from './handler-table.js';

/** What a service does beside handling what comes: it lives as long as its consumers do. */
export interface Background {
  /** Declares what it needs. Called once, after the queues of the handlers are there. */
  declare(): Promise<void>;
  /** Called once, before messages are taken. Resolves when it is ready for them. */
  start(): Promise<void>;
  /** The link can't be used: what it had unsettled comes again. */
  onDisconnected(): void;
  /** The link can be used again. */
  onReconnected(): void;
  /** Ends it; called first of all when the service drains, and perhaps without a start. Idempotent. */
  stop(): void;
}

export interface BackgroundInit {
  /** The service's queue: what belongs to the service as a whole is named after it. */
  readonly queue: string;
  readonly queues: readonly QueueHandlers[];
  readonly link: () => Link;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly logger: Pick<LoggerService, 'debug'>;
  readonly report: (error: unknown) => void;
  /** As {@link Link.declareQueue}; a queue that is there with other arguments is reported, and used as it is. */
  readonly declareQueue: (name: string, declaration: QueueDeclaration) => Promise<void>;
}
