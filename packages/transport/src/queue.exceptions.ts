/**
 * An option that can't be meant. Thrown at start, before anything is opened.
 *
 * @publicApi
 */
export class QueueOptionsException extends Error {
  constructor(what: string, cure: string) {
    super(`${what} ${cure}`);
    this.name = 'QueueOptionsException';
  }
}

/**
 * `send` to a pattern that no running or stopped service handles. Fails at once, not after a timeout.
 *
 * @publicApi
 */
export class NoHandlerException extends Error {
  constructor(readonly pattern: string) {
    super(
      `No service handles '${pattern}'. Start the service whose @MessagePattern matches it (once is enough: its queue stays), or correct the pattern.`,
    );
    this.name = 'NoHandlerException';
  }
}

/**
 * The client was closed while an answer was awaited.
 *
 * @publicApi
 */
export class QueueClosedException extends Error {
  constructor() {
    super('The client was closed before the answer came. The request may have been handled.');
    this.name = 'QueueClosedException';
  }
}
