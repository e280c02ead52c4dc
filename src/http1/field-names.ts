// Which Field a header name is: by length and first letter to at most two candidates, then one comparison.

import { DASH, FOLD, UNDERSCORE } from './bytes.ts';
import { Field } from './message.ts';

/** Lower-case names of the fields that are recorded by name. */
export const FIELD_NAMES = {
  host: Field.host,
  connection: Field.connection,
  'content-length': Field.contentLength,
  'transfer-encoding': Field.transferEncoding,
  upgrade: Field.upgrade,
  expect: Field.expect,
  cookie: Field.cookie,
  'keep-alive': Field.keepAlive,
  'proxy-connection': Field.proxyConnection,
  'proxy-authorization': Field.proxyAuthorization,
  te: Field.te,
  trailer: Field.trailer,
  'x-forwarded-for': Field.forwardedFor,
  'x-forwarded-proto': Field.forwardedProto,
  'x-forwarded-host': Field.forwardedHost,
  'x-forwarded-port': Field.forwardedPort,
  forwarded: Field.forwarded,
  via: Field.via,
  'x-request-id': Field.requestId,
  traceparent: Field.traceparent,
  'http2-settings': Field.http2Settings,
  'set-cookie': Field.setCookie,
  date: Field.date,
  server: Field.server,
  'content-type': Field.contentType,
  location: Field.location,
  'cache-control': Field.cacheControl,
} as const satisfies Record<string, Field>;

/** Returned for a name that is not recorded. */
export const UNINTERESTING = 0;

/** Returned for a name that a server may take for a framing field although it is none: refuse. */
export const LOOKALIKE = 255;

const PREFIX = Uint8Array.from(Buffer.from('x-holdfast-'));
const LENGTH_MAX = 31;
const NAME_BYTES_MAX = 32;

/** Name of field f at f * NAME_BYTES_MAX. */
const NAMES = new Uint8Array(64 * NAME_BYTES_MAX);
/** First candidate for (length, first letter), see `slotOf`. */
const CANDIDATE = new Uint8Array((LENGTH_MAX + 1) * 32);
/** 1 for the slots whose names need `fieldOfName`; see `nameSlot`. */
export const MAY_BE_RECORDED = new Uint8Array(CANDIDATE.length);
/** Second candidate for the same slot as the field's own. */
const NEXT = new Uint8Array(64);

for (const [name, field] of Object.entries(FIELD_NAMES)) {
  NAMES.set(Buffer.from(name), field * NAME_BYTES_MAX);
  const slot = slotOf(name.length, name.charCodeAt(0));
  NEXT[field] = CANDIDATE[slot] as number;
  CANDIDATE[slot] = field;
  MAY_BE_RECORDED[slot] = 1;
}
for (let length = PREFIX.length; length <= LENGTH_MAX; length += 1) {
  MAY_BE_RECORDED[slotOf(length, PREFIX[0] as number)] = 1;
}

/** Index into MAY_BE_RECORDED of a name of that length and first byte: most names are settled by this alone. */
export function nameSlot(length: number, first: number): number {
  return slotOf(length > LENGTH_MAX ? LENGTH_MAX : length, first);
}

/**
 * The Field of the name at begin..end (all token bytes), UNINTERESTING or LOOKALIKE.
 * A name that differs from ours only by "_" for "-" is what CGI-like servers take for ours: look-alikes of
 * framing fields are refused, those of forwarding and reserved fields are dropped, others pass.
 */
export function fieldOfName(buffer: Buffer, begin: number, end: number): number {
  const length = end - begin;
  if (length > LENGTH_MAX) return isReserved(buffer, begin, length) ? Field.holdfast : UNINTERESTING;
  let candidate = CANDIDATE[slotOf(length, buffer[begin] as number)] as number;
  while (candidate !== 0) {
    if (equalsFolded(buffer, begin, length, candidate * NAME_BYTES_MAX)) {
      return hasUnderscore(buffer, begin, end) ? lookalikeOf(candidate) : candidate;
    }
    candidate = NEXT[candidate] as number;
  }
  return isReserved(buffer, begin, length) ? Field.holdfast : UNINTERESTING;
}

function slotOf(length: number, first: number): number {
  return (length << 5) | (first & 31);
}

function equalsFolded(buffer: Buffer, begin: number, length: number, name: number): boolean {
  const fold = FOLD;
  const names = NAMES;
  for (let index = 0; index < length; index = (index + 1) | 0) {
    if (fold[buffer[(begin + index) | 0] as number] !== names[(name + index) | 0]) return false;
  }
  return true;
}

function hasUnderscore(buffer: Buffer, begin: number, end: number): boolean {
  for (let index = begin; index < end; index += 1) if (buffer[index] === UNDERSCORE) return true;
  return false;
}

function lookalikeOf(field: number): number {
  if (field === Field.contentLength || field === Field.transferEncoding) return LOOKALIKE;
  const isForwarding = field >= Field.forwardedFor && field <= Field.forwardedPort;
  return isForwarding ? Field.dropped : UNINTERESTING;
}

function isReserved(buffer: Buffer, begin: number, length: number): boolean {
  if (length < PREFIX.length || FOLD[buffer[begin + 1] as number] !== DASH) return false;
  for (let index = 0; index < PREFIX.length; index += 1) {
    if (FOLD[buffer[begin + index] as number] !== PREFIX[index]) return false;
  }
  return true;
}
