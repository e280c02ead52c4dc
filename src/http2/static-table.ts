// The static table of HPACK (RFC 7541 appendix A), its first entry at index 1.

import { HeaderField } from './header-field.ts';

// biome-ignore format: a table
const ENTRIES: readonly (readonly [name: string, value?: string])[] = [
  [':authority'],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset'],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language'],
  ['accept-ranges'],
  ['accept'],
  ['access-control-allow-origin'],
  ['age'],
  ['allow'],
  ['authorization'],
  ['cache-control'],
  ['content-disposition'],
  ['content-encoding'],
  ['content-language'],
  ['content-length'],
  ['content-location'],
  ['content-range'],
  ['content-type'],
  ['cookie'],
  ['date'],
  ['etag'],
  ['expect'],
  ['expires'],
  ['from'],
  ['host'],
  ['if-match'],
  ['if-modified-since'],
  ['if-none-match'],
  ['if-range'],
  ['if-unmodified-since'],
  ['last-modified'],
  ['link'],
  ['location'],
  ['max-forwards'],
  ['proxy-authenticate'],
  ['proxy-authorization'],
  ['range'],
  ['referer'],
  ['refresh'],
  ['retry-after'],
  ['server'],
  ['set-cookie'],
  ['strict-transport-security'],
  ['transfer-encoding'],
  ['user-agent'],
  ['vary'],
  ['via'],
  ['www-authenticate'],
];

/** Index 0 is none. */
export const STATIC_TABLE: readonly HeaderField[] = [
  new HeaderField('', ''),
  ...ENTRIES.map(([name, value = '']) => new HeaderField(name, value)),
];

/** Index of the first dynamic entry. */
export const DYNAMIC_FIRST: number = STATIC_TABLE.length;

/** First index of each name. */
export const STATIC_NAMES: ReadonlyMap<string, number> = firstIndices();

function firstIndices(): ReadonlyMap<string, number> {
  const indices = new Map<string, number>();
  for (let index = DYNAMIC_FIRST - 1; index > 0; index -= 1)
    indices.set(STATIC_TABLE[index]?.name ?? '', index);
  return indices;
}
