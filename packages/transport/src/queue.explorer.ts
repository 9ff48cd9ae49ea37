import { Injectable } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import { PATTERN_EXTRAS_METADATA, PATTERN_HANDLER_METADATA } from '@nestjs/microservices/constants.js';
import { QUEUE_FEATURE } from './queue.constants.js';
import type { HandlerOptions } from './handler.options.js';

type Module = ModulesContainer extends Map<string, infer M> ? M : never;
type Method = (...args: unknown[]) => unknown;

/** A handler's extras as its decorator gave them, before a feature's options were put under them. */
const OWN_EXTRAS_METADATA = 'nestmq:own_extras';

/**
 * Puts the options of `forFeature` under those of the handlers of the importing module, before Nest registers them.
 */
@Injectable()
export class QueueExplorer {
  constructor(
    private readonly modules: ModulesContainer,
    private readonly scanner: MetadataScanner,
  ) {
    for (const module of this.modules.values()) this.#prepare(module);
  }

  #prepare(module: Module): void {
    const feature = featureOf(module);
    for (const { metatype } of module.controllers.values()) {
      const prototype = (metatype as { prototype?: Record<string, Method> } | null)?.prototype;
      if (prototype === undefined) continue;
      for (const name of this.scanner.getAllMethodNames(prototype)) {
        const method = prototype[name];
        if (method === undefined || !Reflect.hasMetadata(PATTERN_HANDLER_METADATA, method)) continue;
        applyFeature(method, feature);
      }
    }
  }
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
