import type { Socket } from 'node:net';
import type { Authenticator } from '../auth/authenticator.js';
import type { Broker } from '../broker.js';
import type { Clock } from '../clock.js';

export interface AmqpConnectionInit {
  readonly socket: Socket;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  /** The user that the client's certificate names, when it has shown one that was verified. */
  readonly certificateUser: string | undefined;
  /** Told of what is no client's fault. */
  readonly onFailure: (error: Error) => void;
  readonly onClose: () => void;
}
