/**
 * `blocked`: the broker takes no publishes now; they wait.
 *
 * @publicApi
 */
export type QueueClientStatus = 'connected' | 'disconnected' | 'blocked' | 'unblocked';

/**
 * What `QueueClient.on` can listen to. `error`: what no caller is told of.
 *
 * @publicApi
 */
// A type, since Nest wants an index signature.
export type QueueClientEvents = {
  connect: () => void;
  disconnect: (error: Error) => void;
  blocked: (reason: string) => void;
  unblocked: () => void;
  error: (error: Error) => void;
};
