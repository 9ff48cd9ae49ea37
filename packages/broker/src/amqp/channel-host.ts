import type { Connection } from '../connection.js';
import type { Access } from './access.js';
import type { Unfinished } from './content.js';
import type { Outbox } from './outbox.js';

/** What a channel has of its connection. */
export interface ChannelHost {
  readonly engine: Connection;
  readonly outbox: Outbox;
  readonly user: string;
  /** What the user may do. */
  readonly access: Access;
  /** The client wants to hear of it when its consumer is cancelled with its queue. */
  readonly wantsCancel: boolean;
  readonly unfinished: Unfinished;
  /** The client reads what it is sent. */
  isDrained(): boolean;
  /** So many bytes more were published: reading stops while too many of them are not durable. */
  published(bytes: number): void;
  /** Resolves when publishing is possible again; the client is told, and nothing is read from it until then. */
  unblocked(): Promise<void>;
}

/** The queue that a channel declared last: an empty name means it. */
export class QueueNames {
  last = '';

  constructor(private readonly refuse: (text: string) => Error) {}

  expand(name: string): string {
    if (name !== '') return name;
    if (this.last === '') throw this.refuse('no previously declared queue');
    return this.last;
  }
}
