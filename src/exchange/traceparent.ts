// Starts a trace where a request has none: a `traceparent` line with a random trace id and a random parent id
// (W3C Trace Context, level 1). One that came with the request is passed on untouched, like any other field.
//
// Off by default: 0.35 µs and 70 bytes per request are one and a half percent of what a small request costs.

import { fillRandomBytes } from '../base/random.ts';
import { Field, type RequestHead } from '../http1/message.ts';

const TRACE_ID_BYTES = 16;
const PARENT_ID_BYTES = 8;
const BLANK_LINE_CHARS = 2;
const ids = Buffer.alloc(TRACE_ID_BYTES + PARENT_ID_BYTES);

/** The outgoing head with a traceparent at its end, unless the request has one. */
export function withTraceparent(headText: string, head: RequestHead): string {
  if (head.lines.indexOf(Field.traceparent) >= 0) return headText;
  return `${headText.slice(0, -BLANK_LINE_CHARS)}traceparent: ${newTraceparent()}\r\n\r\n`;
}

/** Flagged as sampled: whether to record is decided by the servers' own tracing, which a 00 would switch off. */
export function newTraceparent(): string {
  fillRandomBytes(ids, 0, ids.length);
  const hex = ids.toString('hex');
  return `00-${hex.slice(0, 2 * TRACE_ID_BYTES)}-${hex.slice(2 * TRACE_ID_BYTES)}-01`;
}
