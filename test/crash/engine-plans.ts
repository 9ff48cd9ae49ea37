import type { Delivery } from '@nestmq/broker';

/** What a worker does with a delivery. `linger`: ack it after a while. `hold`: leave it unsettled for long. */
export type Decision = 'ack' | 'linger' | 'requeue' | 'forward' | 'hold';

/** How a phase's worker publishes and consumes. Messages have numbers, and all follows from these. */
export interface Plan {
  readonly segmentBytesMax: number;
  readonly bodyBytesMax: number;
  /** Where publishers are blocked. @default the broker's */
  readonly diskFreeBytesMin?: number;
  /** Publishes that wait for their confirm. */
  readonly inFlight: number;
  readonly queueOf: (number: number) => string;
  /** By queue; a queue without is not consumed before the end. */
  readonly decisions: Readonly<
    Record<string, ((number: number, delivery: Delivery) => Decision) | undefined>
  >;
  /** Where `forward` moves a message to. */
  readonly forwardTo?: string;
  /** Deliveries of a queue that are held; with one more, one is let go. */
  readonly heldMax: number;
}

export type EnginePhase = 'roll' | 'compaction' | 'recovery' | 'full-disk' | 'no-space';

const KIB = 1024;
/** The smallest that the broker takes. */
const SEGMENT_BYTES_MIN = 64 * KIB;

const FILLING: Plan = {
  segmentBytesMax: SEGMENT_BYTES_MIN,
  bodyBytesMax: 8 * KIB,
  inFlight: 20,
  queueOf: () => 'work',
  decisions: { work: () => 'ack' },
  heldMax: 0,
};

export const PLANS: Readonly<Record<EnginePhase, Plan>> = {
  roll: {
    segmentBytesMax: SEGMENT_BYTES_MIN,
    bodyBytesMax: 2 * KIB,
    inFlight: 100,
    queueOf: () => 'work',
    decisions: {
      work: (number, { deliveryCount }) => {
        if (number % 13 === 0 && deliveryCount === 0) return 'requeue';
        return number % 7 === 0 ? 'linger' : 'ack';
      },
    },
    heldMax: 0,
  },
  // What is held lies in nearly every segment, and must be brought forward before the segment can go.
  compaction: {
    segmentBytesMax: SEGMENT_BYTES_MIN,
    bodyBytesMax: 2 * KIB,
    inFlight: 20,
    queueOf: (number) => {
      if (number % 1000 === 0) return 'untouched';
      return number % 10 === 0 ? 'stuck' : 'busy';
    },
    decisions: {
      untouched: undefined,
      busy: (number) => (number % 10 === 5 ? 'forward' : 'ack'),
      stuck: () => 'hold',
      dead: (number, { deliveryCount }) => (number % 3 === 0 && deliveryCount === 0 ? 'requeue' : 'hold'),
    },
    forwardTo: 'dead',
    heldMax: 200,
  },
  recovery: {
    segmentBytesMax: 1024 * KIB,
    bodyBytesMax: 2 * KIB,
    inFlight: 100,
    queueOf: () => 'work',
    decisions: { work: (number) => (number % 2 === 0 ? 'hold' : 'ack') },
    heldMax: 40_000,
  },
  // Publishers are blocked while there is room for what consumers write.
  'full-disk': { ...FILLING, diskFreeBytesMin: 512 * KIB },
  // Nobody looks how much is free: writes fail, for consumers too.
  'no-space': { ...FILLING, diskFreeBytesMin: 0 },
};
