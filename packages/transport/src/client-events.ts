/**
 * `blocked`: the broker takes no publishes now; they wait.
 *
 * @publicApi
 */
export type QueueClientStatus = 'connected' | 'disconnected' | 'blocked' | 'unblocked';

/**
 * What `QueueClient.on` can listen to.
 *
 * @publicApi
 */
// A type, since Nest wants an index signature.
export type QueueClientEvents = {
  /** Connected, for the first time or again. */
  connect: () => void;
  /** The connection is lost; it is made again. */
  disconnect: (error: Error) => void;
  /** The broker takes no publishes now; they wait. */
  blocked: (reason: string) => void;
  /** It takes them again. */
  unblocked: () => void;
  /** What no caller is told of. */
  error: (error: Error) => void;
};
