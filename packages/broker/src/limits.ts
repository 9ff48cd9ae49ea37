/**
 * Every bound of the broker, with its reason. A stranger's input is checked against these before memory is
 * taken for it.
 */
export interface Limits {
  /** An AMQP short string has a one-byte length: names and routing keys can't be longer. Bytes. */
  readonly shortStringBytesMax: number;
  /**
   * RabbitMQ's default `max_message_size` before version 4, so that what was written for it works. Since then it is 16 MiB
   * there: who may move to it keeps below that. Bytes.
   */
  readonly bodyBytesMax: number;
  /** Tables within tables: deeper ones are an attack on the stack, not a message. */
  readonly tableDepthMax: number;
  /** A record names its queues one by one; a fan-out wider than this is refused, not split (J2). */
  readonly queuesPerMessageMax: number;
  /** A transaction is one record, and with the largest segment it must not outgrow a position. Bytes. */
  readonly transactionBytesMax: number;
  /** An id of a message that deduplication remembers takes about 150 bytes of memory. */
  readonly seenIdsMax: number;
  /** Below this a segment holds too few records to be worth a file. Bytes. */
  readonly segmentBytesMin: number;
  /** A position has 30 bits for the offset, and a segment's last commit may exceed it by its settlements. Bytes. */
  readonly segmentBytesMax: number;
  /** A queue hands over at most this many messages before the others have their turn. */
  readonly deliveriesPerTurnMax: number;
  /** Messages that are in memory for one queue's consumers, so that a backlog is read in few, long reads. */
  readonly readAheadMessagesMin: number;
  /** As many when the consumers are faster than the disk. */
  readonly readAheadMessagesMax: number;
  /** One read of the read-ahead. Bytes. */
  readonly readAheadBytesMax: number;
  /** Segments kept open for reading; the least recently used is closed first. */
  readonly openSegmentsMax: number;
  /** What AMQP clients are offered, as RabbitMQ offers it: longer bodies take turns with others. Bytes. */
  readonly frameBytesMax: number;
  /** The least that a client may ask for, as in RabbitMQ. Bytes. */
  readonly frameBytesMin: number;
  /** Before a client has agreed to anything its frames are small: long client properties, no more. Bytes. */
  readonly handshakeFrameBytesMax: number;
  /** As RabbitMQ offers: clients that do not count their channels stop here. */
  readonly channelsMax: number;
  /** A connection costs memory before it has said who it is. */
  readonly connectionsMax: number;
  /** Files that connections leave to the journal, and to the rest of the process. */
  readonly reservedFiles: number;
  /** A client that says nothing holds a connection no longer than this. Milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** A client that does not answer a close is cut off after this. Milliseconds. */
  readonly closeTimeoutMs: number;
  /** When the server ends, a client that does not answer its close keeps it no longer; RabbitMQ waits for none. Milliseconds. */
  readonly shutdownTimeoutMs: number;
  /** What clients are offered: dead peers are noticed within two of these. Seconds. */
  readonly heartbeatSeconds: number;
  /** Contents under way on all channels of a connection, begun and not complete: properties and bodies. Bytes. */
  readonly unfinishedBytesMax: number;
  /** With more than this to send, a connection gets no deliveries until its client has read. Bytes. */
  readonly unsentDeliveriesBytesMax: number;
  /** With more than this to send, nothing is read from a client either: it asks, and does not take the answers. Bytes. */
  readonly unsentBytesMax: number;
  /** On its way to the disk for all of a broker: who publishes and does not wait for it fills memory. Bytes. */
  readonly underWayBytesMax: number;
  /** Published by one connection and not yet durable: more is read when the disk has caught up. Bytes. */
  readonly undurableBytesMax: number;
  /** Delivered on one channel and not settled: each takes memory here, and a consumer need not have a prefetch. */
  readonly unsettledMax: number;
  /** The bodies and properties of those: they are kept until they are settled. Bytes. */
  readonly unsettledBytesMax: number;
  /**
   * A dead letter that no queue takes is sent again after this (`at-least-once`), and soon after a change of the topology.
   * Milliseconds.
   */
  readonly letterRetryMsMin: number;
  /** Each time it takes twice as long, and no longer than this: RabbitMQ's, always. Milliseconds. */
  readonly letterRetryMsMax: number;
  /** Ten years, as RabbitMQ allows: time to live of messages and queues. Milliseconds. */
  readonly expirationMsMax: number;
  /** Longer regular expressions are no names' patterns. Characters. */
  readonly patternCharactersMax: number;
  /** A match takes time by states and characters: with names of 255 bytes this many take some milliseconds. */
  readonly patternStatesMax: number;
  /** Answers about names that a connection keeps at hand, for each of its permissions. */
  readonly knownNamesMax: number;
  /** What comparing one password may take; also of a hash that was imported. Bytes. */
  readonly passwordHashBytesMax: number;
  /** Passwords hashed at once: half of the threads that the disk needs as well. */
  readonly passwordHashesMax: number;
  /** Logins that wait for that; more are refused. */
  readonly waitingLoginsMax: number;
  /** Users and addresses whose failed logins are remembered; the oldest is forgotten first. */
  readonly failedLoginsMax: number;
}

/** The limits that are in effect. */
export const LIMITS: Limits = {
  shortStringBytesMax: 255,
  bodyBytesMax: 128 * 1024 * 1024,
  tableDepthMax: 32,
  queuesPerMessageMax: 16_384,
  transactionBytesMax: 160 * 1024 * 1024,
  seenIdsMax: 1_000_000,
  segmentBytesMin: 64 * 1024,
  segmentBytesMax: 512 * 1024 * 1024,
  deliveriesPerTurnMax: 256,
  readAheadMessagesMin: 256,
  readAheadMessagesMax: 2048,
  readAheadBytesMax: 1024 * 1024,
  openSegmentsMax: 16,
  frameBytesMax: 131_072,
  frameBytesMin: 4096,
  handshakeFrameBytesMax: 8192,
  channelsMax: 2047,
  connectionsMax: 65_536,
  reservedFiles: 128,
  handshakeTimeoutMs: 10_000,
  closeTimeoutMs: 10_000,
  shutdownTimeoutMs: 2000,
  heartbeatSeconds: 60,
  unfinishedBytesMax: 192 * 1024 * 1024,
  unsentDeliveriesBytesMax: 1024 * 1024,
  unsentBytesMax: 16 * 1024 * 1024,
  underWayBytesMax: 64 * 1024 * 1024,
  undurableBytesMax: 8 * 1024 * 1024,
  unsettledMax: 1_000_000,
  unsettledBytesMax: 256 * 1024 * 1024,
  letterRetryMsMin: 1000,
  letterRetryMsMax: 180_000,
  expirationMsMax: 315_360_000_000,
  patternCharactersMax: 1024,
  patternStatesMax: 2048,
  knownNamesMax: 1024,
  passwordHashBytesMax: 64 * 1024 * 1024,
  passwordHashesMax: 2,
  waitingLoginsMax: 1024,
  failedLoginsMax: 4096,
};
