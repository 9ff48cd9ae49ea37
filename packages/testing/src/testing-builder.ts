import { QueueServer } from '@nestmq/transport';

/** What is needed of Nest's `TestingModuleBuilder` (@nestjs/testing), as `Test.createTestingModule` returns it. */
export interface TestingBuilder<M> {
  overrideProvider(token: unknown): {
    useFactory(options: { factory: (...dependencies: never[]) => unknown; inject: unknown[] }): unknown;
  };
  compile(): Promise<M>;
}

/** What is needed of Nest's `TestingModule`. */
export interface ModuleUnderTest {
  get<T>(token: new (...args: never[]) => T, options?: { strict: boolean }): T;
  createNestMicroservice(options: object): RunningApplication & { listen(): Promise<unknown> };
}

/** An application that was started. */
export interface RunningApplication {
  close(): Promise<unknown>;
}

/** With nothing but the handlers of queues. */
export async function startMicroservice(module: ModuleUnderTest): Promise<RunningApplication> {
  const strategy = module.get(QueueServer, { strict: false });
  const app = module.createNestMicroservice({ strategy });
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}
