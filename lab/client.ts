// One user's browser: an own cookie jar and undici; says what came back, never throws because of the network.
import { type Dispatcher, errors, Pool } from 'undici';
import { ACKNOWLEDGED_MS_MAX, type FailureClass } from './transcript.ts';

/** What one request brought. */
export type Reply =
  | {
      readonly type: 'complete';
      readonly status: number;
      readonly server: string | null;
      readonly counter: number | null;
      readonly setCookie: readonly string[];
    }
  | { readonly type: 'failed'; readonly failure: FailureClass };

/** Cookies by name. Ignores Secure, Domain and Path on purpose: everything is one loopback origin. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();

  /** The Cookie header; empty when there is none. */
  get header(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Takes the Set-Cookie lines of a response. */
  keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const equals = pair.indexOf('=');
      if (equals <= 0) continue;
      const isDeletion = attributes.some((one) => /^(max-age=0|expires=Thu, 01 Jan 1970)/i.test(one));
      if (isDeletion) this.#cookies.delete(pair.slice(0, equals));
      else this.#cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
  }
}

/** Where requests go. One connection per request under way, as from many browsers. */
export class Target {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool(url, {
      connections: null,
      connect: { timeout: ACKNOWLEDGED_MS_MAX },
      headersTimeout: ACKNOWLEDGED_MS_MAX,
      bodyTimeout: ACKNOWLEDGED_MS_MAX,
      keepAliveTimeout: 30_000,
    });
  }

  /** Sends one request; resolves whatever happens. */
  async send(
    method: 'GET' | 'POST',
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | null,
  ): Promise<Reply> {
    let hasHead = false;
    try {
      const response = await this.#pool.request({ method, path, headers: { ...headers }, body });
      hasHead = true;
      const text = await response.body.text();
      return {
        type: 'complete',
        status: response.statusCode,
        server: headerOf(response, 'x-served-by'),
        counter: counterIn(text),
        setCookie: [response.headers['set-cookie'] ?? []].flat(),
      };
    } catch (error) {
      return { type: 'failed', failure: failureOf(error, hasHead) };
    }
  }

  end(): Promise<void> {
    return this.#pool.destroy();
  }
}

function headerOf(response: Dispatcher.ResponseData, name: string): string | null {
  const value = response.headers[name];
  return typeof value === 'string' ? value : null;
}

function counterIn(text: string): number | null {
  const found = /"counter":(\d+)/.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

function failureOf(error: unknown, hasHead: boolean): FailureClass {
  if (
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError ||
    error instanceof errors.ConnectTimeoutError
  )
    return 'timeout';
  if (hasHead) return 'truncated';
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return code === 'ECONNREFUSED' ? 'refused' : 'reset';
}
