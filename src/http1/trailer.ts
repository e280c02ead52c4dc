// Which names may stand in a trailer section: none that frames, routes, authenticates, caches or ends at a hop.

import { FOLD } from './bytes.ts';

/** Longest trailer name in bytes. */
export const TRAILER_NAME_BYTES_MAX = 128;

/** Refused in trailers (RFC 9110 section 6.5.1), lower case. */
const REFUSED: ReadonlySet<string> = new Set([
  ...['content-length', 'transfer-encoding', 'trailer', 'te', 'connection', 'keep-alive', 'proxy-connection'],
  ...['upgrade', 'http2-settings', 'expect', 'host', 'max-forwards', 'range', 'if-range'],
  ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'],
  ...['authorization', 'proxy-authorization', 'proxy-authenticate', 'www-authenticate'],
  ...['authentication-info', 'proxy-authentication-info', 'cookie', 'cookie2', 'set-cookie', 'set-cookie2'],
  ...[
    'forwarded',
    'x-forwarded',
    'via',
    'x-request-id',
    'x-real-ip',
    'traceparent',
    'origin',
    'referer',
    'user-agent',
  ],
  ...['content-type', 'content-encoding', 'content-range', 'content-location', 'content-disposition'],
  ...[
    'cache-control',
    'pragma',
    'age',
    'date',
    'expires',
    'vary',
    'location',
    'retry-after',
    'clear-site-data',
  ],
  ...['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-rewrite-url'],
]);

const REFUSED_PREFIXES: readonly string[] = [
  'x-forwarded-',
  'x-holdfast-',
  'access-control-',
  'sec-',
  'proxy-',
];

/** Gathers a trailer's name over any cuts and says whether it may pass. */
export class TrailerName {
  /** As it was written. */
  text = '';
  readonly #bytes = Buffer.alloc(TRAILER_NAME_BYTES_MAX);
  #length = 0;

  begin(byte: number): void {
    this.#length = 0;
    this.text = '';
    this.push(byte);
  }

  push(byte: number): void {
    if (this.#length < TRAILER_NAME_BYTES_MAX) this.#bytes[this.#length] = FOLD[byte] as number;
    this.#length += 1;
    this.text += String.fromCharCode(byte);
  }

  /** "_" counts as "-", as servers of the CGI family read it. Allocates one string. */
  isAllowed(): boolean {
    if (this.#length > TRAILER_NAME_BYTES_MAX) return false;
    return isAllowed(this.#bytes.toString('latin1', 0, this.#length));
  }
}

/** The same of a whole name. */
export function isTrailerAllowed(name: string): boolean {
  return name.length <= TRAILER_NAME_BYTES_MAX && isAllowed(name.toLowerCase().replaceAll('_', '-'));
}

function isAllowed(folded: string): boolean {
  return !(REFUSED.has(folded) || REFUSED_PREFIXES.some((prefix) => folded.startsWith(prefix)));
}
