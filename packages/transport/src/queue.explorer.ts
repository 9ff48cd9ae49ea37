import { Injectable, Logger } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { PATTERN_EXTRAS_METADATA, PATTERN_HANDLER_METADATA } from '@nestjs/microservices/constants.js';
import { DECORATED, type DecoratedExtras } from './handler-extras.js';
import { QUEUE_FEATURE } from './queue.constants.js';
import { QueueOptionsException } from './queue.exceptions.js';
import type { HandlerOptions } from './handler.options.js';

type Module = ModulesContainer extends Map<string, infer M> ? M : never;
type Method = (...args: unknown[]) => unknown;
interface Wrapper {
  readonly isNotMetatype: boolean;
  readonly metatype: unknown;
}
interface Type {
  readonly name: string;
  readonly prototype: Record<string, Method>;
}

/** A handler's extras as its decorator gave them, before a feature's options were put under them. */
const OWN_EXTRAS_METADATA = 'nestmq:own_extras';

/**
 * Puts the options of `forFeature` under those of the handlers of the importing module, before Nest registers them, and finds
 * what would never be called.
 */
@Injectable()
export class QueueExplorer {
  readonly #logger = new Logger(QueueExplorer.name);

  /** Throws QueueOptionsException for a method with a policy and no pattern. */
  constructor(
    private readonly modules: ModulesContainer,
    private readonly scanner: MetadataScanner,
  ) {
    const all = [...this.modules.values()];
    const controllers = new Set(all.flatMap(({ controllers: some }) => typesOf(some)));
    for (const module of all) this.#prepare(module);
    const providers = new Set(all.flatMap(({ providers: some }) => typesOf(some)));
    for (const type of providers) if (!controllers.has(type)) this.#warnOf(type);
  }

  #prepare(module: Module): void {
    const feature = featureOf(module);
    for (const type of typesOf(module.controllers))
      for (const { method } of this.#handlersOf(type)) applyFeature(method, feature);
  }

  /** Nest looks for handlers among the controllers only. */
  #warnOf(type: Type): void {
    for (const { name } of this.#handlersOf(type)) {
      this.#logger.warn(
        `${type.name}.${name} handles messages, but ${type.name} is a provider, and Nest calls handlers of controllers only. Make it a @Controller() and list it under 'controllers'.`,
      );
    }
  }

  #handlersOf(type: Type): readonly { readonly name: string; readonly method: Method }[] {
    const { prototype } = type;
    const handlers: { name: string; method: Method }[] = [];
    for (const name of this.scanner.getAllMethodNames(prototype)) {
      const method = prototype[name];
      if (method === undefined) continue;
      if (Reflect.hasMetadata(PATTERN_HANDLER_METADATA, method)) handlers.push({ name, method });
      else assertNoPolicy(`${type.name}.${name}`, method);
    }
    return handlers;
  }
}

/** Classes; what a factory or a value gives has no decorators that Nest would read. */
function typesOf(wrappers: Module['controllers'] | Module['providers']): readonly Type[] {
  const types = [...(wrappers as Map<unknown, Wrapper>).values()].filter(
    ({ isNotMetatype }) => !isNotMetatype,
  );
  return types.map(({ metatype }) => metatype).filter((type) => isType(type));
}

function isType(type: unknown): type is Type {
  return typeof type === 'function' && type.prototype !== undefined;
}

function assertNoPolicy(where: string, method: Method): void {
  const extras = Reflect.getMetadata(PATTERN_EXTRAS_METADATA, method) as DecoratedExtras | undefined;
  const [key] = Object.keys(extras?.[DECORATED] ?? {});
  if (key === undefined) return;
  throw new QueueOptionsException(
    `A decorator gives ${where} '${key}', but no pattern, so that it would never be called.`,
    "Give it an @EventPattern('…') as well; its policies may stand above or below it.",
  );
}

function featureOf(module: Module): HandlerOptions {
  for (const imported of module.imports) {
    const provider = imported.providers.get(QUEUE_FEATURE);
    if (provider !== undefined) return provider.instance as HandlerOptions;
  }
  return {};
}

function applyFeature(method: Method, feature: HandlerOptions): void {
  const own = (Reflect.getMetadata(OWN_EXTRAS_METADATA, method) ??
    Reflect.getMetadata(PATTERN_EXTRAS_METADATA, method)) as HandlerOptions | undefined;
  Reflect.defineMetadata(OWN_EXTRAS_METADATA, own, method);
  Reflect.defineMetadata(PATTERN_EXTRAS_METADATA, { ...feature, ...own }, method);
}
