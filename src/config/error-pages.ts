// The operator's own pages for replies of the balancer: which file is for which status and form, checked and read.
//
//   errorPages: { 503: [busy.html, busy.json], 5xx: error.html }
//                 a status before its class, those of the pool before those of all

import { extname } from 'node:path';
import { FAILURES } from '../base/failure.ts';
import type { Files } from '../tls/files.ts';
import type { Remarks } from './remarks.ts';
import type { Path } from './tree.ts';

/** Each form of a reply that a client may ask for. */
export type PageForm = 'html' | 'json' | 'text';

const FORMS: Readonly<Record<string, PageForm>> = {
  '.html': 'html',
  '.htm': 'html',
  '.json': 'json',
  '.txt': 'text',
};
/** Most of one page: it is kept in each thread, and sent with each reply. */
const PAGE_BYTES_MAX = 64 * 1024;
const FAILED = 400;

/** What files hold, as latin1 text of their bytes, by status (`503`) or class (`5xx`) and form. */
export type ErrorPages = Readonly<Record<string, Readonly<Partial<Record<PageForm, string>>>>>;

export const NO_PAGES: ErrorPages = {};

/** Paths as written, by status or class. */
type WrittenPages = Readonly<Record<string, readonly string[]>>;

const STATUSES = [...new Set(Object.values(FAILURES).map(({ status }) => String(status)))]
  .filter((status) => Number(status) >= FAILED)
  .sort();
const CLASSES = ['4xx', '5xx'];

/** The page for a status, which `pages` may have under its class too; undefined: there is none. */
export function pageFor(pages: ErrorPages, status: number, form: PageForm): string | undefined {
  return pages[status]?.[form] ?? pages[`${Math.floor(status / 100)}xx`]?.[form];
}

export function checkErrorPages(at: Path, pages: WrittenPages, remarks: Remarks): void {
  for (const [status, paths] of Object.entries(pages)) {
    if (!STATUSES.includes(status) && !CLASSES.includes(status))
      remarks.errorAtKey(
        [...at, status],
        `the balancer never answers "${status}" itself, "errorPages" may have ${CLASSES.join(', ')}, ${STATUSES.join(', ')}`,
      );
    const seen = new Map<PageForm, Path>();
    for (const [index, path] of paths.entries()) {
      const here = [...at, status, index];
      const form = formOf(path);
      if (form === null) {
        remarks.error(
          here,
          `"${path}" must end in ${Object.keys(FORMS).join(', ')}, which say what it holds`,
        );
        continue;
      }
      const earlier = seen.get(form);
      if (earlier === undefined) seen.set(form, here);
      else
        remarks.clash(
          here,
          earlier,
          `"${path}" is the second ${form} for ${status}, the first is in line {line}`,
        );
    }
  }
}

function formOf(path: string): PageForm | null {
  return FORMS[extname(path).toLowerCase()] ?? null;
}

/** What the files hold; `refuse` hears of those that cannot be used. */
export function readErrorPages(
  pages: WrittenPages,
  files: Files,
  refuse: (status: string, message: string) => void,
): ErrorPages {
  return Object.fromEntries(
    Object.entries(pages).map(([status, paths]) => {
      const read = paths.map((path) => [formOf(path), readPage(path, files, (why) => refuse(status, why))]);
      return [status, Object.fromEntries(read)];
    }),
  );
}

function readPage(path: string, files: Files, refuse: (message: string) => void): string {
  const found = files.read(path);
  if ('refused' in found) refuse(`"${path}" ${found.refused}`);
  else if (found.bytes.length > PAGE_BYTES_MAX)
    refuse(`"${path}" has ${found.bytes.length} bytes, a page may have ${PAGE_BYTES_MAX}`);
  else if (found.bytes.length === 0) refuse(`"${path}" is empty`);
  else return found.bytes.toString('latin1');
  return '';
}
