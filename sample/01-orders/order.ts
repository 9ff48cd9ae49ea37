import { BadRequestException } from '@nestjs/common';

export interface OrderLine {
  readonly sku: string;
  readonly name: string;
  readonly unitPriceCents: number;
  readonly quantity: number;
}

export interface Order {
  readonly id: string;
  readonly placedAt: string;
  readonly customer: { readonly name: string; readonly email: string; readonly country: string };
  readonly currency: string;
  readonly lines: readonly OrderLine[];
  readonly shipTo: {
    readonly street: string;
    readonly postcode: string;
    readonly city: string;
    readonly country: string;
  };
}

export interface Invoice {
  readonly orderId: string;
  readonly number: string;
  readonly netCents: number;
  readonly taxCents: number;
  readonly grossCents: number;
  readonly currency: string;
  readonly shipTo: Order['shipTo'];
}

export interface Parcel {
  readonly orderId: string;
  readonly trackingCode: string;
  readonly city: string;
}

/** Events of the shop, by pattern. */
export const EVENT = {
  placed: 'order.placed',
  invoiced: 'invoice.issued',
  shipped: 'parcel.shipped',
} as const;

/** What a customer sends. Throws BadRequestException that names the field and what it should be. */
export function parseNewOrder(body: unknown): Omit<Order, 'id' | 'placedAt'> {
  const order = record(body, 'the body');
  const customer = record(order['customer'], 'customer');
  const shipTo = record(order['shipTo'], 'shipTo');
  const lines = order['lines'];
  if (!Array.isArray(lines) || lines.length === 0)
    throw new BadRequestException('lines must be a list of at least one line');
  return {
    customer: {
      name: text(customer, 'customer.name'),
      email: text(customer, 'customer.email'),
      country: text(customer, 'customer.country'),
    },
    currency: text(order, 'currency'),
    lines: lines.map((line, i) => parseLine(record(line, `lines[${i}]`), `lines[${i}]`)),
    shipTo: {
      street: text(shipTo, 'shipTo.street'),
      postcode: text(shipTo, 'shipTo.postcode'),
      city: text(shipTo, 'shipTo.city'),
      country: text(shipTo, 'shipTo.country'),
    },
  };
}

function parseLine(line: Record<string, unknown>, at: string): OrderLine {
  return {
    sku: text(line, `${at}.sku`),
    name: text(line, `${at}.name`),
    unitPriceCents: count(line, `${at}.unitPriceCents`),
    quantity: count(line, `${at}.quantity`),
  };
}

function record(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new BadRequestException(`${at} must be an object`);
  return value as Record<string, unknown>;
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

function text(from: Record<string, unknown>, path: string): string {
  const value = from[lastPart(path)];
  if (typeof value !== 'string' || value === '')
    throw new BadRequestException(`${path} must be a non-empty string`);
  return value;
}

function count(from: Record<string, unknown>, path: string): number {
  const value = from[lastPart(path)];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    throw new BadRequestException(`${path} must be a whole number of at least 1`);
  return value;
}
