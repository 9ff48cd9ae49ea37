import type { Clock } from '@nestmq/broker';
import type { ConsumerControl } from '../handling/consumer-control.js';
import type { HandlerTable } from '../handling/handler-table.js';
import type { Link } from '../links/link.js';
import type { Wire } from '../wire/wire.js';

/** What administration sees of a service. */
export interface Service {
  /** Throws QueueUnavailableException before the application is initialised and after it is closed. */
  readonly link: () => Link;
  /** Why the broker can't be reached now, if so. */
  readonly away: () => Error | undefined;
  /** Whether handlers are to get messages. */
  readonly isListening: () => boolean;
  readonly handlers: HandlerTable;
  readonly consumers: ConsumerControl;
  readonly wire: Wire;
  readonly clock: Clock;
}
