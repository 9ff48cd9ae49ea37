import 'reflect-metadata';
import { NO_MESSAGE_HANDLER } from '@nestjs/microservices/constants.js';
import { transformPatternToRoute } from '@nestjs/microservices/utils/transform-pattern.utils.js';
import type { MsPattern, WritePacket } from '@nestjs/microservices';
import { encodeError } from './errors.js';

/**
 * What Nest's own RMQ transport has in its bodies, as JSON without a content type (ServerRMQ and ClientRMQ of Nest 11
 * and 12): requests `{ pattern, data, id }`, events `{ pattern, data }`, answers `{ response?, err?, isDisposed? }`.
 */
export interface NestPacket {
  readonly pattern: MsPattern;
  readonly data: unknown;
  /** Of a request; the property correlationId is the same. An event has none. */
  readonly id?: unknown;
}

/** `metadata` is what a dispatch hook of Nest 12 adds. */
const PACKET_KEYS: ReadonlySet<string> = new Set(['pattern', 'data', 'id', 'metadata']);

/** The only keys of an answer; `status` is in the one that says that there is no handler. */
const ANSWER_KEYS: ReadonlySet<string> = new Set(['id', 'err', 'response', 'isDisposed', 'status']);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasOnly(value: object, keys: ReadonlySet<string>): boolean {
  return Object.keys(value).every((key) => keys.has(key));
}

/** The packet that data is; undefined when it is something else. */
export function nestPacketIn(data: unknown): NestPacket | undefined {
  if (!isRecord(data) || !hasOnly(data, PACKET_KEYS)) return undefined;
  const { pattern } = data;
  const isPattern = typeof pattern === 'string' || typeof pattern === 'number' || isRecord(pattern);
  return isPattern ? (data as unknown as NestPacket) : undefined;
}

/**
 * The pattern as handlers have it: object patterns, also as JSON in a string, with their keys in order. Never throws:
 * it is a stranger's.
 */
export function routeOf(pattern: MsPattern): string {
  return transformPatternToRoute(typeof pattern === 'string' ? parsedIfObject(pattern) : pattern);
}

function parsedIfObject(pattern: string): MsPattern {
  if (!pattern.startsWith('{')) return pattern;
  try {
    return JSON.parse(pattern) as MsPattern;
  } catch {
    // A name that begins with a brace.
    return pattern;
  }
}

/** Whether Nest publishes such a packet to an exchange (its option `wildcards`) under this key. Never throws. */
export function isSentUnder(routingKey: string, pattern: MsPattern): boolean {
  if (typeof pattern === 'string') return pattern === routingKey;
  try {
    return JSON.stringify(pattern) === routingKey;
  } catch {
    // Nested too deep: its sender could not have made a key of it either.
    return false;
  }
}

/** The body of a packet or an answer. Throws TypeError for what JSON can't hold. */
export function encodeNestPacket(packet: NestPacket | WritePacket): Buffer {
  return Buffer.from(JSON.stringify(packet));
}

/** The answer that ServerRMQ would send. That there is no handler it says in words alone. */
export function nestAnswerOf({ err, ...rest }: WritePacket): WritePacket {
  if (err === undefined) return rest;
  const { message } = (err ?? {}) as { readonly message?: unknown };
  if (message === NO_MESSAGE_HANDLER) return { ...rest, err: NO_MESSAGE_HANDLER, status: 'error' };
  return { ...rest, err: encodeError(err) };
}

/** An answer as Nest's client reads it: what is no packet is the last value itself. */
export function readNestAnswer(data: unknown): WritePacket {
  if (!isRecord(data) || Object.keys(data).length === 0 || !hasOnly(data, ANSWER_KEYS)) {
    return { response: data, isDisposed: true };
  }
  const { err, response, isDisposed } = data;
  if (Boolean(err) || Boolean(isDisposed)) return { err, response, isDisposed: true };
  return { response };
}
