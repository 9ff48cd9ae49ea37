import { BaseRpcContext, ClientProxy, type ReadPacket, Server } from '@nestjs/microservices';

/**
 * Calls the handler directly: what is left is Nest's own part, the ceiling of every transport in this process.
 */
export class NullServer extends Server {
  override listen(callback: () => void): void {
    callback();
  }

  override close(): void {
    // Nothing is held.
  }

  override on(): void {
    // No events.
  }

  override unwrap<T>(): T {
    return undefined as T;
  }
}

export class NullClient extends ClientProxy {
  constructor(private readonly server: NullServer) {
    super();
  }

  override async connect(): Promise<void> {
    // Nothing to connect to.
  }

  override async close(): Promise<void> {
    // Nothing is held.
  }

  override unwrap<T>(): T {
    return undefined as T;
  }

  protected override async dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    await this.server.handleEvent(packet.pattern as string, packet as never, new BaseRpcContext([]));
    return undefined as T;
  }

  protected override publish(): () => void {
    throw new Error('The benchmark sends events only.');
  }
}
