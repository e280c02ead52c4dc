// A visitor with a cookie jar, and polling with a deadline: what the demo's tests are written in.
import { request } from 'undici';
import { DEMO_PASSWORD } from '../../demo/users.ts';

/** Polls until `probe` returns something other than null; fails with the name of what was awaited. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null>,
  withinMs = 8000,
): Promise<T> {
  const endsAtMs = performance.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found !== null) return found;
    if (performance.now() > endsAtMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The fields tests look at one by one; text is the body of what is not JSON. */
export interface Body {
  readonly user?: unknown;
  readonly counter?: unknown;
  readonly sessions?: unknown;
  readonly started?: unknown;
  readonly bytes?: unknown;
  readonly ended?: unknown;
  readonly messagesSent?: unknown;
  readonly storeReads?: unknown;
  readonly storeWrites?: unknown;
  readonly text?: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Body;
  readonly setCookie: readonly string[];
  readonly retryAfter: string | null;
}

/** One browser. Cookies are kept by name; `base` may change from request to request, as behind a balancer. */
export class Visitor {
  readonly jar = new Map<string, string>();

  constructor(cookies: Iterable<readonly [string, string]> = []) {
    for (const [name, value] of cookies) this.jar.set(name, value);
  }

  /** A visitor who stole today's cookies. */
  copy(): Visitor {
    return new Visitor(this.jar);
  }

  get cookie(): string {
    return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#send('GET', url, undefined, headers);
  }

  async post(url: string, body: object = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#send('POST', url, JSON.stringify(body), headers);
  }

  async login(base: string, user: string, password = DEMO_PASSWORD): Promise<Answer> {
    return this.post(`${base}/login`, { user, password });
  }

  async #send(
    method: 'GET' | 'POST',
    url: string,
    body: string | undefined,
    headers: Record<string, string>,
  ): Promise<Answer> {
    const response = await request(url, {
      method,
      headers: {
        ...(this.jar.size === 0 ? {} : { cookie: this.cookie }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.body.text();
    const setCookie = [response.headers['set-cookie'] ?? []].flat();
    for (const line of setCookie) this.#keep(line);
    const isJson = String(response.headers['content-type']).includes('application/json');
    return {
      status: response.statusCode,
      body: isJson ? (JSON.parse(text) as Body) : { text },
      setCookie,
      retryAfter:
        response.headers['retry-after'] === undefined ? null : String(response.headers['retry-after']),
    };
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    const isDeletion = attributes.some((attribute) =>
      /^(max-age=0|expires=Thu, 01 Jan 1970)/i.test(attribute),
    );
    if (isDeletion) this.jar.delete(pair.slice(0, equals));
    else this.jar.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
}
