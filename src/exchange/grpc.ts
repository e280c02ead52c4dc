// What gRPC asks of whoever stands between a client and a server, beside HTTP/2: its deadlines, and failures in its own words.

import type { FailureKind } from '../base/failure.ts';
import { equalsIgnoreCase } from '../http1/bytes.ts';
import { Field, type RequestHead } from '../http1/message.ts';
import { NEVER } from './deadlines.ts';

const TYPE = 'application/grpc';
const TYPE_LINE = /^content-type:[ \t]*(application\/grpc[\w.+-]*)/im;
/** Not gRPC-Web, whose trailers are part of its body. */
const CALL_TYPE = /^application\/grpc(?![\w-])/i;
/** grpc-timeout: at most eight digits, and a unit, whose capitals mean something else. */
const TIMEOUT_LINE = /^grpc-timeout:[ \t]*(\d{1,8})([a-z])[ \t]*\r?$/im;
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Codes of gRPC (its statuscodes document). */
const Code = {
  cancelled: 1,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** What clients may try again elsewhere is UNAVAILABLE, as they read HTTP's 502, 503 and 504. */
const STATUS_OF = {
  'bad-request': Code.internal,
  'no-route': Code.unimplemented,
  'certificate-required': Code.permissionDenied,
  misdirected: Code.permissionDenied,
  'request-timeout': Code.deadlineExceeded,
  'body-too-large': Code.resourceExhausted,
  'target-too-long': Code.resourceExhausted,
  'expectation-failed': Code.internal,
  'too-many-requests': Code.unavailable,
  'head-too-large': Code.resourceExhausted,
  'not-implemented': Code.unimplemented,
  'client-too-slow': Code.cancelled,
  'bad-proxy-header': Code.internal,
  'client-aborted': Code.cancelled,
  'deadline-exceeded': Code.deadlineExceeded,
  'connect-failed': Code.unavailable,
  'connect-timeout': Code.unavailable,
  'tls-failed': Code.unavailable,
  'server-closed': Code.unavailable,
  'stream-refused': Code.unavailable,
  'bad-response': Code.unavailable,
  'trailers-too-large': Code.resourceExhausted,
  'response-truncated': Code.unavailable,
  'response-timeout': Code.deadlineExceeded,
  'no-server': Code.unavailable,
  'home-down': Code.unavailable,
  'session-lost': Code.notFound,
  'queue-full': Code.unavailable,
  'queue-timeout': Code.unavailable,
  'loop-detected': Code.internal,
  'max-forwards': Code.internal,
  redirected: Code.unimplemented,
  'acme-challenge': Code.unimplemented,
  'out-of-resources': Code.unavailable,
  'too-many-connections': Code.unavailable,
  stopping: Code.unavailable,
} as const satisfies Record<FailureKind, number>;

/** Error codes of HTTP/2 that a server has ended a call with ("Errors" of gRPC over HTTP/2); all others are INTERNAL. */
const STATUS_OF_CODE: Readonly<Record<number, number>> = {
  7: Code.unavailable, // REFUSED_STREAM
  8: Code.cancelled, // CANCEL
  11: Code.resourceExhausted, // ENHANCE_YOUR_CALM
  12: Code.permissionDenied, // INADEQUATE_SECURITY
};

/** `code`: what the server has ended the stream with, where that is how it failed. */
function statusOf(kind: FailureKind, code: number | undefined): number {
  if (kind !== 'server-closed' || code === undefined) return STATUS_OF[kind];
  return STATUS_OF_CODE[code] ?? Code.internal;
}

/** The request is a call of gRPC: its media type says so. */
export function isGrpc(buffer: Buffer, { lines, method }: RequestHead): boolean {
  if (method !== 'POST') return false;
  const index = lines.indexOf(Field.contentType);
  if (index < 0) return false;
  const begin = lines.valueBegin[index] as number;
  return equalsIgnoreCase(buffer, begin, begin + TYPE.length, TYPE);
}

/** When the client gives the call up, which `headText` is the head of; NEVER: it does not say. */
export function grpcDeadlineMs(headText: string, nowMs: number): number {
  const [, digits = '', unit = ''] = TIMEOUT_LINE.exec(headText) ?? [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? NEVER : nowMs + Number(digits) * unitMs;
}

/** Messages of a call, and trailers behind them. */
export function isCallType(type: string): boolean {
  return CALL_TYPE.test(type);
}

/** The media type that a call with these header lines is answered in; null: it is none. */
export function grpcTypeOf(fields: string): string | null {
  return TYPE_LINE.exec(fields)?.[1] ?? null;
}

/** The lines that say how a call has failed: it is an answer like any other, without a message. */
export function grpcLines(kind: FailureKind, sentence: string, code?: number): string {
  return `grpc-status: ${statusOf(kind, code)}\r\ngrpc-message: ${messageOf(sentence)}\r\n`;
}

/** The same of a call that has been answered in part: the trailers that end it. */
export function grpcTrailers(kind: FailureKind, sentence: string, code?: number): readonly string[] {
  return ['grpc-status', `${statusOf(kind, code)}`, 'grpc-message', messageOf(sentence)];
}

function messageOf(sentence: string): string {
  return Buffer.from(sentence, 'utf8')
    .toString('latin1')
    .replace(/[^ -$&-~]/g, percentEncoded);
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
