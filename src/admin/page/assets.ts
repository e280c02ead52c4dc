// The dashboard's files: plain HTML, CSS and JavaScript from assets/ beside this file, with uPlot as it is published.
// Nothing is built; the bundle has assets/ beside it.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Asset {
  /** Path under which the page asks for it, e.g. `/page/charts.js`. */
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Changes with the content; quoted as the header wants it. */
  readonly etag: string;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Reads all of them, about 120 KB, from disk. Throws when the installation is not complete. */
export function readAssets(): readonly Asset[] {
  const folder = fileURLToPath(new URL('assets/', import.meta.url));
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => CONTENT_TYPES[extname(name)] !== undefined)
    .map((name) => asset(name === 'page.html' ? '/' : `/${name}`, join(folder, name)));
}

function asset(path: string, file: string): Asset {
  const body = new Uint8Array(readFileSync(file));
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22);
  return { path, contentType: CONTENT_TYPES[extname(file)] ?? '', body, etag: `"${digest}"` };
}
