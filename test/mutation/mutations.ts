/** One way to break an application: an edit of one of its files. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Must be there exactly once. */
  readonly search: string;
  readonly replace: string;
}

/** What people get wrong about messages, in sample/06-testing. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'forgets to ack by hand',
    file: 'tickets.controller.ts',
    search: 'context.ack();',
    replace: '',
  },
  {
    name: 'handles a pattern that nobody sends',
    file: 'seats.controller.ts',
    search: "@EventPattern('hold.over')",
    replace: "@EventPattern('hold.expired')",
  },
  {
    name: 'does not try again',
    file: 'seats.controller.ts',
    search: "@Retry({ attempts: 4, delay: ['1m', '10m', '1h'], jitter: 0 })",
    replace: '@Retry({ attempts: 1 })',
  },
  {
    name: 'tries once too few',
    file: 'seats.controller.ts',
    search: 'attempts: 4,',
    replace: 'attempts: 3,',
  },
  {
    name: 'tries again too soon',
    file: 'seats.controller.ts',
    search: "'10m'",
    replace: "'10s'",
  },
  {
    name: 'sends with a wrong delay',
    file: 'seats.controller.ts',
    search: ".setDelay('15m')",
    replace: ".setDelay('15s')",
  },
  {
    name: 'keeps nothing of what it gives up',
    file: 'seats.controller.ts',
    search: "@DeadLetter('refunds')",
    replace: '@DeadLetter(false)',
  },
  {
    name: 'tries again what no attempt can help',
    file: 'seats.controller.ts',
    search: 'throw new UnrecoverableException(',
    replace: 'throw new Error(',
  },
  {
    name: 'emits instead of sending',
    file: 'desk.ts',
    search: "this.queue.send<Hold>('seat.hold'",
    replace: "this.queue.emit<Hold>('seat.hold'",
  },
  {
    name: 'does not await what it emits',
    file: 'seats.controller.ts',
    search: "await lastValueFrom(this.queue.emit('ticket.issued', ticket))",
    replace: "void lastValueFrom(this.queue.emit('ticket.issued', ticket)).catch(() => {})",
  },
  {
    name: 'sends no id to know duplicates by',
    file: 'desk.ts',
    search: '.setDeduplicationId(payment.reference)',
    replace: '',
  },
  {
    name: 'remembers nothing of what it has handled',
    file: 'seats.controller.ts',
    search: "@Deduplicate({ window: '7d' })",
    replace: '',
  },
  {
    name: 'keeps no order',
    file: 'tickets.controller.ts',
    search: "@OrderingKey('seat')",
    replace: '',
  },
  {
    name: 'takes from another queue',
    file: 'tickets.controller.ts',
    search: "queue: 'harbour'",
    replace: "queue: 'harbor'",
  },
  {
    name: 'swallows an error',
    file: 'seats.controller.ts',
    search: 'this.outside.print(ticket)',
    replace: 'this.outside.print(ticket).catch(() => {})',
  },
  {
    name: 'promises what is not kept yet',
    file: 'seats.controller.ts',
    search: "await lastValueFrom(this.queue.emit('hold.over', record))",
    replace: "void lastValueFrom(this.queue.emit('hold.over', record)).catch(() => {})",
  },
  {
    name: 'acknowledges what is not kept yet',
    file: 'desk.ts',
    search: "await lastValueFrom(this.queue.emit('payment.received', record))",
    replace: "void lastValueFrom(this.queue.emit('payment.received', record)).catch(() => {})",
  },
  {
    name: 'tells of what may still fail',
    file: 'seats.controller.ts',
    search: `await this.outside.print(ticket);
    await lastValueFrom(this.queue.emit('ticket.issued', ticket));`,
    replace: `await lastValueFrom(this.queue.emit('ticket.issued', ticket));
    await this.outside.print(ticket);`,
  },
  {
    name: 'says the wrong thing',
    file: 'tickets.controller.ts',
    search: 'your seat is ${seat}',
    replace: 'your seat is ${passenger}',
  },
];
