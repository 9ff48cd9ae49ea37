import {
  type DynamicModule,
  Global,
  Inject,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import type { Timer } from '@nestmq/broker';
import { QueueClient } from './queue.client.js';
import { QUEUE_FEATURE, QUEUE_OPTIONS } from './queue.constants.js';
import { QueueExplorer } from './queue.explorer.js';
import { DEFAULT_RETRY } from './retry-policy.js';
import { type HandlerOptions, normaliseHandlerOptions } from './handler.options.js';
import type { QueueOptions } from './queue.options.js';
import { QueueServer } from './queue.server.js';
import { QueueAdmin } from './admin/queue.admin.js';
import { QueueHealthIndicator } from './admin/queue.health.js';

/**
 * Options that a factory gives, which may be injected and asynchronous.
 *
 * @publicApi
 */
export interface QueueModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Gets what `inject` names. */
  readonly useFactory: (...dependencies: never[]) => QueueOptions | Promise<QueueOptions>;
  readonly inject?: readonly (
    NonNullable<Parameters<typeof Inject>[0]> | { token: unknown; optional: boolean }
  )[];
}

/** Of the modules that Nest tells of its shutdown, this one comes before all others. */
const FIRST_TO_STOP = -1;

/** So long after an application is up its handlers should get messages. Milliseconds. */
const LISTENING_MS_MAX = 10_000;

/** Drains before anything else is torn down: handlers end while what they use still works. */
@Module({})
export class QueueDrainModule implements OnModuleDestroy {
  constructor(
    private readonly server: QueueServer,
    modules: ModulesContainer,
  ) {
    for (const module of modules.values()) {
      if (module.metatype === QueueDrainModule) module.distance = FIRST_TO_STOP;
    }
  }

  async onModuleDestroy(): Promise<void> {
    await this.server.drain();
  }
}

/** What `forFeature` makes; the explorer reads it. */
@Module({})
export class QueueFeatureModule {}

/**
 * Durable messages for a Nest application. `forRoot` once, in the root module; `QueueClient` can then be injected
 * everywhere, and `app.connectMicroservice({ strategy: app.get(QueueServer) })` starts the handlers.
 *
 * @publicApi
 */
@Global()
@Module({})
export class QueueModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger(QueueModule.name);
  #idleTimer: Timer | undefined;

  constructor(
    private readonly server: QueueServer,
    private readonly client: QueueClient,
  ) {}

  /** Throws QueueOptionsException for options that can't be meant. */
  static forRoot(options: QueueOptions): DynamicModule {
    return rootModule([{ provide: QUEUE_OPTIONS, useValue: options }]);
  }

  /** As {@link QueueModule.forRoot}, with options that a factory gives. What it gives is checked when the module starts. */
  static forRootAsync({ imports = [], useFactory, inject = [] }: QueueModuleAsyncOptions): DynamicModule {
    const provider = { provide: QUEUE_OPTIONS, useFactory, inject: [...inject] } as Provider;
    return rootModule([provider], imports);
  }

  /**
   * Options for the handlers of the importing module's controllers, under those in their own extras: mostly the queue
   * that they share. Throws QueueOptionsException for options that can't be meant.
   */
  static forFeature(options: HandlerOptions): DynamicModule {
    normaliseHandlerOptions('forFeature', options, {
      queue: 'default',
      retry: DEFAULT_RETRY,
      prefetchCount: 65_535,
      noAck: false,
    });
    return { module: QueueFeatureModule, providers: [{ provide: QUEUE_FEATURE, useValue: options }] };
  }

  /** First of all: what other modules' hooks emit is kept for handlers that were connected before. */
  async onModuleInit(): Promise<void> {
    await this.server.prepare();
  }

  /** Events of handlers that nobody starts, in any process, wait in their queues, and nothing else tells. */
  onApplicationBootstrap(): void {
    const { clock, handlers, isListening } = this.server.service;
    if ([...handlers.queues].length === 0 || isListening()) return;
    this.#idleTimer = clock.setTimer(LISTENING_MS_MAX, () => void this.#warnOfIdle());
  }

  async #warnOfIdle(): Promise<void> {
    const { handlers, isListening, link } = this.server.service;
    if (isListening()) return;
    const idle: string[] = [];
    try {
      for (const { queue } of handlers.queues) {
        if ((await link().queueState(queue))?.consumers === 0) idle.push(`'${queue}'`);
      }
    } catch {
      // The broker is away, which is told elsewhere; a hint is not worth another try.
      return;
    }
    if (idle.length === 0) return;
    this.#logger.warn(
      `Handlers get no messages yet, which wait in ${idle.join(', ')}: nobody has called app.startAllMicroservices() (or listen(), of a microservice).`,
    );
  }

  /** Last of all: until here, handlers, requests and other modules' hooks can still emit. */
  async onApplicationShutdown(): Promise<void> {
    this.#idleTimer?.cancel();
    await this.client.close();
    await this.server.close();
  }
}

function rootModule(
  providers: Provider[],
  imports: NonNullable<ModuleMetadata['imports']> = [],
): DynamicModule {
  return {
    module: QueueModule,
    imports: [...imports, QueueDrainModule],
    providers: [
      ...providers,
      MetadataScanner,
      QueueExplorer,
      {
        provide: QueueServer,
        useFactory: (options: QueueOptions) => new QueueServer(options),
        inject: [QUEUE_OPTIONS],
      },
      {
        provide: QueueClient,
        useFactory: (options: QueueOptions) => new QueueClient(options),
        inject: [QUEUE_OPTIONS],
      },
      {
        provide: QueueAdmin,
        useFactory: (server: QueueServer) => new QueueAdmin(server.service),
        inject: [QueueServer],
      },
      {
        provide: QueueHealthIndicator,
        useFactory: (server: QueueServer) => new QueueHealthIndicator(server.service),
        inject: [QueueServer],
      },
    ],
    exports: [QueueServer, QueueClient, QueueAdmin, QueueHealthIndicator],
  };
}
