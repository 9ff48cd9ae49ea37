import { type DynamicModule, Global, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { QueueModule, QueueServer } from '@nestmq/transport';
import { AuditModule } from './audit.module.js';
import { BillingModule } from './billing.module.js';
import { OrdersModule } from './orders.module.js';
import { ShippingModule } from './shipping.module.js';
import { Shop } from './shop.js';

@Global()
@Module({})
class ShopModule {
  static at(directory: string): DynamicModule {
    return {
      module: ShopModule,
      providers: [{ provide: Shop, useFactory: () => new Shop(directory) }],
      exports: [Shop],
    };
  }
}

@Module({})
class AppModule {
  static at(directory: string, url: string): DynamicModule {
    return {
      module: AppModule,
      imports: [
        QueueModule.forRoot({ url }),
        ShopModule.at(directory),
        OrdersModule,
        BillingModule,
        ShippingModule,
        AuditModule,
      ],
    };
  }
}

/** The whole shop, its ledgers in a directory and its messages at a URL, handlers running, HTTP not listening yet. */
export async function startShop(directory: string, url: string): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule.at(directory, url), { logger: ['warn', 'error', 'fatal'] });
  app.enableShutdownHooks();
  app.connectMicroservice({ strategy: app.get(QueueServer) });
  await app.init();
  await app.startAllMicroservices();
  return app;
}
