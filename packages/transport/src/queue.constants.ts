/** The module's options, as they were given. */
export const QUEUE_OPTIONS: unique symbol = Symbol('nestmq:options');
/** What `forFeature` said, for the module that imports it. */
export const QUEUE_FEATURE: unique symbol = Symbol('nestmq:feature');
