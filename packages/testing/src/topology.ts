import { exportDefinitions } from '@nestmq/broker';

/** One of them, in the words of RabbitMQ's definitions (`rabbitmqctl export_definitions`). */
export type TopologyEntry = Readonly<Record<string, unknown>>;

/** What is declared in a broker, sorted: in which order it was declared does not matter. */
export interface Topology {
  readonly exchanges: readonly TopologyEntry[];
  readonly queues: readonly TopologyEntry[];
  readonly bindings: readonly TopologyEntry[];
  readonly policies: readonly TopologyEntry[];
}

const KINDS = ['exchanges', 'queues', 'bindings', 'policies'] as const;

/** Sorted by what is in them: in which order they were declared does not matter. */
export function topologyOf(definitions: ReadonlyMap<string, unknown>): Topology {
  const all = exportDefinitions(definitions);
  const entries = KINDS.map((kind) => [kind, sorted(all[kind] as readonly TopologyEntry[])]);
  return Object.fromEntries(entries);
}

function sorted(entries: readonly TopologyEntry[]): readonly TopologyEntry[] {
  const keyed = entries.map((entry) => [JSON.stringify(entry), entry] as const);
  return keyed.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}
