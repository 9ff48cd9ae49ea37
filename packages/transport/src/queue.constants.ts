/**
 * The module's options, as they were given. A test may put others in their place.
 *
 * @publicApi
 */
export const QUEUE_OPTIONS: unique symbol = Symbol('nestmq:options');
/** What `forFeature` said, for the module that imports it. */
export const QUEUE_FEATURE: unique symbol = Symbol('nestmq:feature');
/**
 * The transport of handlers that are for a QueueServer alone, in an application that listens to others as well:
 * `@EventPattern('order.placed', QUEUE_TRANSPORT, { … })`. Without it they are registered with all. Of several
 * QueueServers each can have one of its own: `server.setTransportId(symbol)`.
 *
 * @publicApi
 */
export const QUEUE_TRANSPORT: unique symbol = Symbol.for('nestmq');
