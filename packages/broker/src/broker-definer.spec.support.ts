import { fail } from './broker-expectation.spec.support.js';
import type { ModelExchange, ModelQueue } from './broker-model.spec.support.js';
import { Witness } from './broker-witness.spec.support.js';
import type { Connection } from './connection.js';

/** Changes definitions, of the engine and of the model. */
export abstract class Definer extends Witness {
  /** A queue goes, with all that is in it and all its consumers. */
  protected abstract removed(queue: ModelQueue, step: number): void;

  declareQueue(
    connection: Connection,
    name: string,
    options: { readonly durable: boolean; readonly autoDelete: boolean },
  ): void {
    const { durable: survives, autoDelete } = options;
    const step = this.model.steps.begin();
    this.trace(`declare ${survives ? '' : 'transient '}queue '${name}'${autoDelete ? ', auto-delete' : ''}`);
    this.watch(step, connection.declareQueue(name, options));
    this.model.declareQueue(name, { survives, autoDelete }, step);
  }

  deleteQueue(connection: Connection, queue: ModelQueue): void {
    const count = queue.ready.length;
    this.trace(`delete queue '${queue.name}' with ${count} messages`);
    const step = this.model.steps.begin();
    this.watch(step, connection.deleteQueue(queue.name), (actual) => {
      if (actual !== count) fail(`${actual} messages were deleted with '${queue.name}', not ${count}`);
    });
    this.removed(queue, step);
  }

  purgeQueue(connection: Connection, queue: ModelQueue): void {
    const { ready } = queue;
    this.trace(`purge '${queue.name}' of ${ready.length} messages`);
    const step = this.model.steps.begin();
    this.watch(step, connection.purgeQueue(queue.name), (actual) => {
      if (actual !== ready.length)
        fail(`'${queue.name}' was purged of ${actual} messages, not ${ready.length}`);
    });
    for (const one of ready) one.removed = step;
  }

  declareExchange(
    connection: Connection,
    name: string,
    init: Pick<ModelExchange, 'type' | 'survives' | 'autoDelete'>,
  ): void {
    const { type, survives: durable, autoDelete } = init;
    const step = this.model.steps.begin();
    const kind = `${durable ? '' : 'transient '}${type}`;
    this.trace(`declare ${kind} exchange '${name}'${autoDelete ? ', auto-delete' : ''}`);
    this.watch(step, connection.declareExchange(name, { type, durable, autoDelete }));
    this.model.declareExchange(name, init, step);
  }

  deleteExchange(connection: Connection, exchange: ModelExchange): void {
    const step = this.model.steps.begin();
    this.trace(`delete exchange '${exchange.name}'`);
    this.watch(step, connection.deleteExchange(exchange.name));
    this.model.removeExchange(exchange, step);
  }

  bind(connection: Connection, queue: ModelQueue, exchange: ModelExchange, key: string): void {
    const step = this.model.steps.begin();
    this.trace(`bind '${queue.name}' to '${exchange.name}' by '${key}'`);
    this.watch(step, connection.bindQueue(queue.name, exchange.name, key));
    this.model.bind(exchange, queue, key, step);
  }

  unbind(connection: Connection, queue: ModelQueue, exchange: ModelExchange, key: string): void {
    const step = this.model.steps.begin();
    this.trace(`unbind '${queue.name}' from '${exchange.name}' by '${key}'`);
    this.watch(step, connection.unbindQueue(queue.name, exchange.name, key));
    const binding = this.model.binding(exchange, queue, key);
    if (binding !== undefined) this.model.unbind(binding, step);
  }
}
