// Which Field a header name is: by length and first letter to at most two candidates, then one comparison.

import { DASH, FOLD, UNDERSCORE } from './bytes.ts';
import { FORWARDING_CUT } from './hop-by-hop.ts';
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
  'max-forwards': Field.maxForwards,
  'x-real-ip': Field.forwardedOther,
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
  'strict-transport-security': Field.strictTransport,
} as const satisfies Record<string, Field>;

/** Returned for a name that is not recorded. */
export const UNINTERESTING = 0;

/** Returned for a name that a server may take for a framing field although it is none: refuse. */
export const LOOKALIKE = 255;

/** Names that begin so are ours or say where a request came from; both are as long. */
const HOLDFAST = Uint8Array.from(Buffer.from('x-holdfast-'));
const FORWARDED = Uint8Array.from(Buffer.from('x-forwarded'));
const PREFIX_BYTES = HOLDFAST.length;
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
for (let length = PREFIX_BYTES; length <= LENGTH_MAX; length += 1) {
  MAY_BE_RECORDED[slotOf(length, HOLDFAST[0] as number)] = 1;
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
  if (length > LENGTH_MAX) return familyOf(buffer, begin, end);
  let candidate = CANDIDATE[slotOf(length, buffer[begin] as number)] as number;
  while (candidate !== 0) {
    if (equalsFolded(buffer, begin, length, candidate * NAME_BYTES_MAX)) {
      return hasUnderscore(buffer, begin, end) ? lookalikeOf(candidate) : candidate;
    }
    candidate = NEXT[candidate] as number;
  }
  return familyOf(buffer, begin, end);
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
  return FORWARDING_CUT[field] === 1 ? Field.dropped : UNINTERESTING;
}

/** x-holdfast-* and x-forwarded-*, `x-forwarded` alone included: names that are many. */
function familyOf(buffer: Buffer, begin: number, end: number): number {
  const length = end - begin;
  if (length < PREFIX_BYTES || FOLD[buffer[begin + 1] as number] !== DASH) return UNINTERESTING;
  if (beginsWith(buffer, begin, HOLDFAST)) return Field.holdfast;
  if (!beginsWith(buffer, begin, FORWARDED)) return UNINTERESTING;
  if (length > PREFIX_BYTES && FOLD[buffer[begin + PREFIX_BYTES] as number] !== DASH) return UNINTERESTING;
  return hasUnderscore(buffer, begin, end) ? Field.dropped : Field.forwardedOther;
}

function beginsWith(buffer: Buffer, begin: number, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index += 1) {
    if (FOLD[buffer[begin + index] as number] !== prefix[index]) return false;
  }
  return true;
}
