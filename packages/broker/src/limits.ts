/**
 * Every bound of the broker, with its reason. A stranger's input is checked against these before memory is
 * taken for it.
 */
export interface Limits {
  /** An AMQP short string has a one-byte length: names and routing keys can't be longer. Bytes. */
  readonly shortStringBytesMax: number;
  /** RabbitMQ 4's default `max_message_size`, so that what is accepted here is accepted there. Bytes. */
  readonly bodyBytesMax: number;
  /** Tables within tables: deeper ones are an attack on the stack, not a message. */
  readonly tableDepthMax: number;
  /** A record names its queues one by one; a fan-out wider than this is refused, not split (J2). */
  readonly queuesPerMessageMax: number;
  /** A transaction is one record, and with the largest segment it must not outgrow a position. Bytes. */
  readonly transactionBytesMax: number;
  /** Below this a segment holds too few records to be worth a file. Bytes. */
  readonly segmentBytesMin: number;
  /** A position has 30 bits for the offset, and a segment's last commit may exceed it by its settlements. Bytes. */
  readonly segmentBytesMax: number;
  /** A queue hands over at most this many messages before the others have their turn. */
  readonly deliveriesPerTurnMax: number;
  /** Messages read ahead from the disk for one queue, so that a backlog is read in few, long reads. */
  readonly readAheadMessagesMax: number;
  /** One read of the read-ahead. Bytes. */
  readonly readAheadBytesMax: number;
  /** Segments kept open for reading; the least recently used is closed first. */
  readonly openSegmentsMax: number;
}

export const LIMITS: Limits = {
  shortStringBytesMax: 255,
  bodyBytesMax: 16 * 1024 * 1024,
  tableDepthMax: 32,
  queuesPerMessageMax: 16_384,
  transactionBytesMax: 64 * 1024 * 1024,
  segmentBytesMin: 64 * 1024,
  segmentBytesMax: 512 * 1024 * 1024,
  deliveriesPerTurnMax: 256,
  readAheadMessagesMax: 256,
  readAheadBytesMax: 1024 * 1024,
  openSegmentsMax: 16,
};
