import type { Delivery } from './queue/delivery.js';

/** Of `Connection.consume`. */
export interface ConsumeOptions {
  /** Unique in the connection. @default made by the server */
  readonly consumerTag?: string;
  /** Deliveries that may be unsettled at once; 0 is no limit. @default 0 */
  readonly prefetchCount?: number;
  /** Deliveries are settled as they are handed over. @default false */
  readonly noAck?: boolean;
  /** Fails when the queue has another consumer, and keeps others away. @default false */
  readonly exclusive?: boolean;
  /** Consumers with a higher one get messages first, as long as they have credit. A whole number. @default 0 */
  readonly priority?: number;
  /**
   * Asked before each delivery: nothing comes while it says no. When it says yes again, `wake()` the consumer.
   * @default always yes
   */
  readonly mayDeliver?: () => boolean;
  /** Called for each delivery, on a turn of its own; must not throw. */
  readonly onDelivery: (delivery: Delivery) => void;
  /** Called for each delivery that is settled, in the middle of it; must not throw, nor settle another. @default nothing is done */
  readonly onSettled?: () => void;
  /** The queue was deleted: no delivery comes any more. @default nothing is done */
  readonly onCancel?: () => void;
}
