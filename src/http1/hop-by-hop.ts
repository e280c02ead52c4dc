// Which recorded lines end at this hop and are cut out of the forwarded head (RFC 9110 section 7.6.1).
//
// Kept on purpose: Expect (100-continue is settled end to end, the server decides), Trailer (trailers travel with
// the raw chunked body), Transfer-Encoding and Content-Length (the body is forwarded as it was framed).
// X-Forwarded-*, Forwarded, Via and X-Request-Id are the proxy's decision, as it knows whom it trusts.

import { Field } from './message.ts';

const ALWAYS: readonly Field[] = [
  Field.connection,
  Field.keepAlive,
  Field.proxyConnection,
  Field.te,
  Field.upgrade,
  Field.http2Settings,
  Field.holdfast,
  Field.dropped,
];

/** 1 at each Field that is never forwarded to a server. An upgrade that is let through is written again. */
export const REQUEST_CUT: Uint8Array = tableOf([...ALWAYS, Field.proxyAuthorization]);

/** 1 at each Field that is never forwarded to a client. */
export const RESPONSE_CUT: Uint8Array = tableOf(ALWAYS);

/**
 * 1 at each Field that says where a request came from: no client may set it that is not trusted. A trusted one's pass
 * on, and X-Forwarded-For and Forwarded are appended to.
 */
export const FORWARDING_CUT: Uint8Array = tableOf([
  Field.forwardedFor,
  Field.forwardedProto,
  Field.forwardedHost,
  Field.forwardedPort,
  Field.forwardedOther,
  Field.forwarded,
  Field.requestId,
]);

/** Is a line of this field left out of the request for a server? `isTrusted`: forwarding fields are believed. */
export function isLeftOut(field: number, isTrusted: boolean): boolean {
  if (REQUEST_CUT[field] === 1) return true;
  if (FORWARDING_CUT[field] !== 1) return false;
  return !isTrusted || field === Field.forwardedFor || field === Field.forwarded;
}

/** Is a line of this field cut from every forwarded request? */
export function isCutFromRequest(field: number): boolean {
  return REQUEST_CUT[field] === 1;
}

/** Is a line of this field cut from every forwarded response? */
export function isCutFromResponse(field: number): boolean {
  return RESPONSE_CUT[field] === 1;
}

function tableOf(fields: readonly Field[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const field of fields) table[field] = 1;
  return table;
}
