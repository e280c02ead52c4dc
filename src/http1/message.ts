// What a parsed head says, as offsets into the received buffer: the contract between the codec and the proxy.
// One RequestHead and one ResponseHead live per worker and are overwritten by each parse; whoever needs a
// value after the current event copies it out. Nothing here owns bytes.

/** Header lines the proxy cares about; every other line passes through as untouched bytes. */
export const Field = {
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  upgrade: 5,
  expect: 6,
  cookie: 7,
  keepAlive: 8,
  proxyConnection: 9,
  proxyAuthorization: 10,
  te: 11,
  trailer: 12,
  forwardedFor: 13, // x-forwarded-for
  forwardedProto: 14, // x-forwarded-proto
  forwardedHost: 15, // x-forwarded-host
  forwardedPort: 16, // x-forwarded-port
  forwarded: 17, // RFC 7239
  via: 18,
  requestId: 19, // x-request-id
  traceparent: 20,
  http2Settings: 21,
  setCookie: 22, // response
  date: 23, // response
  server: 24, // response
  contentType: 25,
  location: 26, // response
  cacheControl: 27, // response
  holdfast: 28, // any name that begins with x-holdfast-: reserved, a client's own are dropped
  watched: 29, // the configured session headers (see HeadLimits.watched); index in `FieldLines.watchedIndex`
  // a line to be dropped: named by a Connection field, x_forwarded_* posing as x-forwarded-*, or framing that says nothing
  dropped: 30,
  maxForwards: 32, // request
  strictTransport: 33, // response: strict-transport-security
  forwardedOther: 31, // any other name that begins with x-forwarded, and x-real-ip
} as const;
export type Field = (typeof Field)[keyof typeof Field];

/** How a message's body is delimited (RFC 9112 section 6.3). */
export const Body = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;
export type Body = (typeof Body)[keyof typeof Body];

export interface HeadLimits {
  readonly headBytesMax: number;
  readonly headerCountMax: number;
  /** Lower-case latin1 names of further request headers to record as Field.watched. */
  readonly watched: readonly string[];
}

/** `FieldLines.watchedIndex` of a line whose name is not watched. */
export const NOT_WATCHED = 255;

/** Recorded lines of one head: parallel arrays in the order of the bytes, valid up to `count`. Offsets are absolute in the parsed buffer. */
export class FieldLines {
  count = 0;
  readonly field: Uint8Array;
  readonly lineBegin: Int32Array;
  readonly valueBegin: Int32Array;
  /** End of the value, optional white space trimmed. */
  readonly valueEnd: Int32Array;
  /** Just past the line's CRLF. */
  readonly lineEnd: Int32Array;
  /** Index in HeadLimits.watched, NOT_WATCHED for other lines. Also set where a watched name has a Field of its own. */
  readonly watchedIndex: Uint8Array;

  constructor(capacity: number) {
    this.field = new Uint8Array(capacity);
    this.lineBegin = new Int32Array(capacity);
    this.valueBegin = new Int32Array(capacity);
    this.valueEnd = new Int32Array(capacity);
    this.lineEnd = new Int32Array(capacity);
    this.watchedIndex = new Uint8Array(capacity);
  }

  /** Index of the first recorded line of that field, -1 when there is none. O(recorded lines). */
  indexOf(field: Field): number {
    for (let index = 0; index < this.count; index += 1) if (this.field[index] === field) return index;
    return -1;
  }
}

/** Most header lines any listener may allow (limits.headerCount is checked against it). */
export const HEADER_COUNT_MAX = 1024;

/** What requests and responses have in common. */
abstract class MessageHead {
  readonly lines: FieldLines = new FieldLines(HEADER_COUNT_MAX);
  /** 0 for HTTP/1.0, 1 for HTTP/1.1 and for later minor versions, which are read as 1.1 (RFC 9110 section 2.5). */
  versionMinor = 1;
  /** The first line says HTTP/1.1, letter by letter, so that it may be passed on as it is. */
  isVersion11 = true;
  /** First byte of the request or status line: empty lines before a request's are skipped. */
  lineBegin = 0;
  /** First byte of the first header line. */
  fieldsBegin = 0;
  /** First byte of the empty line that ends the head. */
  fieldsEnd = 0;
  /** Of a response: HEAD, 1xx, 204 and 304 considered. */
  body: Body = Body.none;
  /** Meaningful for Body.length only. */
  contentLength = 0;
  /**
   * Written instead of a framing field that had blanks where not every server reads over them; that line is dropped.
   * '' as a rule.
   */
  framingLine = '';
  /** The sender keeps the connection after this message (version and Connection considered). */
  keepAlive = true;
}

export class RequestHead extends MessageHead {
  /** Interned for known methods. */
  method = '';
  /** Safe or idempotent by RFC 9110 section 9.2.2: GET HEAD OPTIONS TRACE PUT DELETE. */
  isIdempotent = false;
  /** The request target as written; in absolute-form the whole URI. */
  targetBegin = 0;
  targetEnd = 0;
  /** Path and query to send upstream: equals the target in origin-form and asterisk-form. begin === end in absolute-form without a path: send "/". */
  pathBegin = 0;
  pathEnd = 0;
  isAbsoluteForm = false;
  /** Leading bytes of the path that are not sent upstream: the path of the route. */
  strippedBytes = 0;
  /** Authority that counts, without an empty port: the target's in absolute-form, the Host field's otherwise. Empty range when HTTP/1.0 has none. */
  hostBegin = 0;
  hostEnd = 0;
  expectsContinue = false;
  /** Of an OPTIONS request: how many times it may still be forwarded (RFC 9110 section 7.6.2); -1: nothing is said. */
  maxForwards = -1;
  /** Connection names upgrade and an Upgrade field is there: its value's range, else both 0. */
  upgradeBegin = 0;
  upgradeEnd = 0;
}

export class ResponseHead extends MessageHead {
  status = 0;
  /** First byte of the reason phrase and its end (may be empty). */
  reasonBegin = 0;
  reasonEnd = 0;
  /** From `Keep-Alive: timeout=N`; 0 when absent. */
  keepAliveHintMs = 0;
  /** 101 only: the response agrees to an upgrade. */
  isUpgrade = false;
}

/** What parseRequestHead and parseResponseHead return when positive: the offset just past the head. */
export const INCOMPLETE = 0;

/** Why a head or body was refused; negative, so that a parse result is one number. The proxy maps request kinds to a status. */
export const Refusal = {
  badRequestLine: -1, // 400
  badMethod: -2, // 400
  badTarget: -3, // 400
  badVersion: -4, // 400 (505 where the version is well-formed but not 1.x is not offered: refuse)
  badHeader: -5, // 400: name, value, obs-fold, bare CR or LF, white space before the colon
  badHost: -6, // 400: none, several or malformed
  badContentLength: -7, // 400
  badTransferEncoding: -8, // 400
  unknownTransferCoding: -9, // 501
  conflictingFraming: -10, // 400: Content-Length with Transfer-Encoding
  headTooLarge: -11, // 431
  tooManyHeaders: -12, // 431
  targetTooLong: -13, // 414: the request line alone is over the head limit
  methodNotAllowed: -14, // 501: CONNECT, TRACE
  expectationFailed: -15, // 417
  badChunk: -16, // 400
  chunkTooLarge: -17, // 400
  badTrailer: -18, // 400
  badStatusLine: -19, // 502
  badConnection: -20, // 400: malformed Connection field
  badUpgrade: -21, // 400
} as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];
