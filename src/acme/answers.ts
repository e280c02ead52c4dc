// What an authority answers, as far as it is read: nothing is believed to be there, and no text of it is longer than a line.

import { AcmeProblem, plainLine, senseless } from './problem.ts';

const ERROR_PREFIX = 'urn:ietf:params:acme:error:';
const DETAIL_CHARS_MAX = 300;
const URL_CHARS_MAX = 2048;
/** Authorizations of an order for one name, challenges of an authorization: more are not looked at. */
const LIST_MAX = 20;
/** Longer than this nobody is made to wait. */
const RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000;

/** JSON, read. */
export class Answer {
  readonly #value: unknown;
  /** What it is, for messages. */
  readonly #what: string;

  constructor(value: unknown, what: string) {
    this.#value = value;
    this.#what = what;
  }

  static parse(text: string, what: string): Answer {
    try {
      return new Answer(JSON.parse(text), what);
    } catch {
      throw senseless(`${what} is not JSON: ${plain(text.slice(0, 60))}`);
    }
  }

  /** '' where there is none. */
  text(name: string): string {
    const value = this.#member(name);
    return typeof value === 'string' ? value : '';
  }

  /** Absent members give an answer without members. */
  at(name: string): Answer {
    return new Answer(this.#member(name), `"${name}" of ${this.#what}`);
  }

  list(name: string): readonly Answer[] {
    const value = this.#member(name);
    if (!Array.isArray(value)) return [];
    return value.slice(0, LIST_MAX).map((item) => new Answer(item, `"${name}" of ${this.#what}`));
  }

  /** Throws AcmeProblem where it is none that one may go to. */
  url(name: string): string {
    return secureUrl(this.text(name), `"${name}" of ${this.#what}`);
  }

  urls(name: string): readonly string[] {
    const value = this.#member(name);
    if (!Array.isArray(value) || value.length === 0) throw senseless(`${this.#what} has no "${name}"`);
    return value.slice(0, LIST_MAX).map((url) => secureUrl(url, `"${name}" of ${this.#what}`));
  }

  #member(name: string): unknown {
    const value = this.#value;
    return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
      ? (value as Readonly<Record<string, unknown>>)[name]
      : undefined;
  }
}

/** RFC 8555 section 6.1: an authority is spoken to over https alone. */
export function secureUrl(value: unknown, what: string): string {
  const isUrl = typeof value === 'string' && value.length <= URL_CHARS_MAX && URL.canParse(value);
  if (isUrl && new URL(value).protocol === 'https:') return value;
  throw senseless(`${what} is no https URL: ${plain(JSON.stringify(value) ?? 'nothing')}`);
}

/** What a problem document says (RFC 7807), with those of single names where it has them. */
export function problemOf(problem: Answer): { readonly type: string; readonly detail: string } {
  const type = problem.text('type');
  const below = problem.list('subproblems').map((each) => plain(each.text('detail')));
  const detail = [plain(problem.text('detail')), ...below].filter((each) => each !== '').join('; ');
  return {
    type: type.startsWith(ERROR_PREFIX) ? plain(type.slice(ERROR_PREFIX.length)) : '',
    detail: plain(detail),
  };
}

export function refusalOf(
  status: number,
  text: string,
  what: string,
  retryAfterMs: number | null,
): AcmeProblem {
  const { type, detail } = problemOf(parsed(text));
  const why = detail === '' ? `status ${status}` : `${detail}${type === '' ? '' : ` (${type})`}`;
  const isTheirs = status >= 500 && type !== 'rateLimited';
  return new AcmeProblem(isTheirs ? 'unreachable' : 'refused', `${what}: ${why}`, type, retryAfterMs);
}

/** Without members where it is not JSON. */
function parsed(text: string): Answer {
  try {
    return new Answer(JSON.parse(text), '');
  } catch {
    return new Answer(null, '');
  }
}

/** Seconds or a date (RFC 9110 section 10.2.3); null: it is neither. */
export function retryAfter(value: string, wallMs: number): number | null {
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - wallMs;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms));
}

function plain(text: string): string {
  return plainLine(text, DETAIL_CHARS_MAX);
}
