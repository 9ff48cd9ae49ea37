import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { QueueContext } from '@nestmq/transport';
import { Ledger } from './ledger.js';
import type { Invoice, Order, Parcel } from './order.js';

export interface Summary {
  readonly placed: number;
  readonly invoiced: number;
  readonly shipped: number;
  readonly audited: number;
  readonly redelivered: number;
  readonly lost: number;
}

/** The events that the audit has seen of one order. */
export const EVENTS_PER_ORDER = 3;

/**
 * The ledgers of the services, each used by its service only, and what the summary takes from all of them. In a real
 * shop these would be databases in as many places.
 */
@Injectable()
export class Shop implements OnApplicationShutdown {
  readonly placed: Ledger<true>;
  readonly orders: Ledger<Order>;
  readonly invoices: Ledger<Invoice>;
  readonly parcels: Ledger<Parcel>;
  /** By message id: what order the message was of. */
  readonly audit: Ledger<string>;
  readonly #eventsByOrder = new Map<string, Set<string>>();
  #audited = 0;
  #redelivered = 0;
  readonly #listeners = new Set<() => void>();

  constructor(directory: string) {
    const changed = (): void => {
      for (const listener of this.#listeners) listener();
    };
    this.placed = new Ledger(`${directory}/placed.jsonl`, changed);
    this.orders = new Ledger(`${directory}/orders.jsonl`);
    this.invoices = new Ledger(`${directory}/invoices.jsonl`, changed);
    this.parcels = new Ledger(`${directory}/parcels.jsonl`, changed);
    this.audit = new Ledger(`${directory}/audit.jsonl`, changed);
    for (const messageId of this.audit.keys()) this.#countAudited(this.audit.get(messageId) as string);
  }

  /** Writes an event down once, however often its message comes. */
  async recordAudit(messageId: string, pattern: string, orderId: string): Promise<void> {
    if (this.audit.has(messageId)) return;
    const entry = `${pattern} ${orderId}`;
    this.#countAudited(entry);
    await this.audit.record(messageId, entry);
  }

  #countAudited(entry: string): void {
    const [pattern = '', orderId = ''] = entry.split(' ');
    const events = this.#eventsByOrder.get(orderId) ?? new Set();
    if (events.has(pattern)) return;
    this.#eventsByOrder.set(orderId, events.add(pattern));
    if (events.size === EVENTS_PER_ORDER) this.#audited++;
  }

  countDelivery(context: QueueContext): void {
    if (context.redelivered) this.#redelivered++;
  }

  summary(): Summary {
    const finished = (id: string): boolean =>
      this.invoices.has(id) && this.parcels.has(id) && this.#eventsByOrder.get(id)?.size === EVENTS_PER_ORDER;
    return {
      placed: this.placed.size,
      invoiced: this.invoices.size,
      shipped: this.parcels.size,
      audited: this.#audited,
      redelivered: this.#redelivered,
      lost: [...this.placed.keys()].filter((id) => !finished(id)).length,
    };
  }

  /** How many orders have come to their end: a quick count, for progress. */
  get finishedCount(): number {
    return Math.min(this.invoices.size, this.parcels.size, this.#audited);
  }

  /** Calls back after each change; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onApplicationShutdown(): void {
    for (const ledger of [this.placed, this.orders, this.invoices, this.parcels, this.audit]) ledger.close();
  }
}
