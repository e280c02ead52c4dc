// The command line's client of the admin API: one request at a time, and what to say when it fails.

import type { ExplainDocument, PlanDocument } from '../admin/source.ts';
import type { ServerStatus, StatusDocument } from '../admin/status.ts';
import { packageVersion } from '../base/version.ts';
import { checkToken } from '../config/check-text.ts';
import { didYouMean } from '../config/suggest.ts';
import type { KeptEvent } from '../control/event-log.ts';
import type { AdminAccess, ServerPath } from './admin-access.ts';
import { type AdminRequest, send, textOf } from './admin-request.ts';
import { EXIT_FAILED, EXIT_OK } from './exit.ts';
import { remark } from './output.ts';

const BODY_CHARACTERS_MAX = 8 * 1024 * 1024;
const SHOWN_CHARACTERS_MAX = 200;
const NAMES_SHOWN_MAX = 20;

/** The admin server refused or could not be asked. The message is one line for the user: tried, came, to do. */
export class AdminFailure extends Error {
  override readonly name = 'AdminFailure';
}

/** The API said no: `code` as in its error document. */
export class AdminRefusal extends AdminFailure {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ServerChange {
  readonly mode?: 'ready' | 'drain' | 'maintenance';
  readonly weight?: number;
}

export class AdminClient {
  readonly #access: AdminAccess;

  constructor(access: AdminAccess) {
    const { username, password } = new URL(access.admin);
    if (username !== '' || password !== '') {
      throw new AdminFailure('the admin URL carries a user or password; give a token by --token instead');
    }
    // what a file or a variable has at its end does not belong to it
    const token = access.token.trim();
    const refused = checkToken(token);
    if (refused !== null) throw new AdminFailure(`the token ${refused}`);
    this.#access = { ...access, token };
  }

  /** GET /api/status. */
  async status(): Promise<StatusDocument> {
    return (await this.#ask('GET', '/api/status', null)) as StatusDocument;
  }

  /** GET /api/events/recent: oldest first. */
  async recentEvents(): Promise<readonly KeptEvent[]> {
    const answer = await this.#ask('GET', '/api/events/recent', null);
    return (answer as { readonly events: readonly KeptEvent[] }).events;
  }

  /** Events from now on, as they come; they end when the balancer ends them or is gone. Rejects when it cannot be asked. */
  async changes(): Promise<AsyncIterable<KeptEvent>> {
    const url = new URL('/api/events', this.#access.admin);
    const tried = `GET ${url.origin}${url.pathname}`;
    const headers = this.#headers(null);
    const stream = await reached(tried, send({ method: 'GET', url, headers, body: null }));
    const status = stream.statusCode ?? 0;
    if (status === 200) return changesOf(stream.setEncoding('utf8'));
    throw this.#refusal(tried, status, await reached(tried, textOf(stream, BODY_CHARACTERS_MAX)));
  }

  /** PATCH of one server; what it is afterwards. */
  async change({ pool, server }: ServerPath, change: ServerChange): Promise<ServerStatus> {
    const path = `/api/pools/${encodeURIComponent(pool)}/servers/${encodeURIComponent(server)}`;
    const answer = await this.#known({ pool, server }, () => this.#ask('PATCH', path, change));
    return (answer as { readonly server: ServerStatus }).server;
  }

  /** With the name of the pool, where only the server was named. Refused when there are several pools. */
  async whole(path: ServerPath): Promise<ServerPath> {
    return path.pool === '' ? { ...path, pool: await this.onlyPool(`/${path.server}`) } : path;
  }

  /** The only pool's name. `rest`: what would follow it, to show how to name one. */
  async onlyPool(rest: string): Promise<string> {
    const names = (await this.status()).pools.map(({ name }) => name);
    const [only] = names;
    if (only !== undefined && names.length === 1) return only;
    const shown = names.slice(0, NAMES_SHOWN_MAX).map((name) => `${name}${rest}`);
    throw new AdminRefusal('bad-request', `there are ${names.length} pools, say which: ${shown.join(', ')}`);
  }

  /** The server as it is now. */
  async server(path: ServerPath): Promise<ServerStatus> {
    const status = await this.status();
    const pool = status.pools.find(({ name }) => name === path.pool);
    const found = pool?.servers.find(({ name }) => name === path.server);
    if (found === undefined) throw new AdminRefusal('not-found', unknownServer(status, path));
    return found;
  }

  /** GET /api/pools/:pool/plan. */
  async plan({ pool, server }: ServerPath, action: string, weight: number): Promise<PlanDocument> {
    const query = new URLSearchParams({ action, server, weight: String(weight) });
    const url = `/api/pools/${encodeURIComponent(pool)}/plan?${query}`;
    return (await this.#known({ pool, server }, () => this.#ask('GET', url, null))) as PlanDocument;
  }

  /** POST /api/pools/:pool/explain. */
  async explain(pool: string, question: object): Promise<ExplainDocument> {
    const path = `/api/pools/${encodeURIComponent(pool)}/explain`;
    const answer = this.#known({ pool, server: null }, () => this.#ask('POST', path, question));
    return (await answer) as ExplainDocument;
  }

  /** POST /api/reload. */
  async reload(): Promise<{ readonly revision: number; readonly changes: readonly string[] }> {
    const answer = await this.#ask('POST', '/api/reload', {});
    return answer as { readonly revision: number; readonly changes: readonly string[] };
  }

  /** Asks about a pool or a server; when there is none of that name, says which there are. */
  async #known(
    { pool, server }: { readonly pool: string; readonly server: string | null },
    ask: () => Promise<unknown>,
  ): Promise<unknown> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof AdminRefusal) || error.code !== 'not-found') throw error;
      const status = await this.status();
      const message = server === null ? unknownPool(status, pool) : unknownServer(status, { pool, server });
      throw new AdminRefusal(error.code, message);
    }
  }

  async #ask(method: AdminRequest['method'], path: string, body: object | null): Promise<unknown> {
    const url = new URL(path, this.#access.admin);
    const tried = `${method} ${url.origin}${url.pathname}`;
    const { status, text } = await this.#send(method, url, tried, body);
    const document = parseJson(text);
    if (status >= 200 && status < 300 && document !== null) return document;
    throw this.#refusal(tried, status, text);
  }

  /** Why the answer is not what was asked for. */
  #refusal(tried: string, status: number, text: string): AdminFailure {
    const { code, message } = readError(parseJson(text));
    if (code === '') return new AdminFailure(strangeAnswer(tried, status, text));
    if (code === 'unauthorized')
      return new AdminRefusal(code, `${tried}: ${tokenAdvice(this.#access.token)}`);
    return new AdminRefusal(code, message);
  }

  #headers(body: object | null): Record<string, string> {
    const { token } = this.#access;
    return {
      accept: 'application/json',
      'user-agent': `holdfast/${packageVersion()}`,
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    };
  }

  async #send(
    method: AdminRequest['method'],
    url: URL,
    tried: string,
    body: object | null,
  ): Promise<{ status: number; text: string }> {
    const headers = this.#headers(body);
    const text = body === null ? null : JSON.stringify(body);
    const response = await reached(tried, send({ method, url, headers, body: text }));
    return {
      status: response.statusCode ?? 0,
      text: await reached(tried, textOf(response, BODY_CHARACTERS_MAX)),
    };
  }
}

/** What was asked for, or why it did not come and what to look at. */
async function reached<T>(tried: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw new AdminFailure(
      `${tried}: ${(error as Error).message}; is the balancer running, and is this its admin address? (--admin URL or HOLDFAST_ADMIN_URL)`,
    );
  }
}

/** The `change` events of a stream of server-sent events. One that is cut short is an end like another. */
async function* changesOf(body: AsyncIterable<string>): AsyncGenerator<KeptEvent> {
  let rest = '';
  try {
    for await (const text of body) {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const lines = block.split('\n');
        const data = lines.find((line) => line.startsWith('data: '))?.slice(6);
        if (lines.includes('event: change') && data !== undefined) yield JSON.parse(data) as KeptEvent;
      }
    }
  } catch {
    // the balancer has ended in the middle of it
  }
}

/**
 * Runs an admin command; its result is the exit status. A failure becomes one line on standard error and status 1.
 */
export async function withAdmin(
  access: AdminAccess,
  command: (client: AdminClient) => Promise<number | undefined>,
): Promise<number> {
  try {
    return (await command(new AdminClient(access))) ?? EXIT_OK;
  } catch (error) {
    if (!(error instanceof AdminFailure)) throw error;
    remark(error.message);
    return EXIT_FAILED;
  }
}

/** `there is no server c in pool shop, did you mean "a"?` */
function unknownServer(status: StatusDocument, { pool, server }: ServerPath): string {
  const found = status.pools.find(({ name }) => name === pool);
  if (found === undefined) return unknownPool(status, pool);
  const names = found.servers.map(({ name }) => name);
  const known = didYouMean(server, names) || `; it has ${names.slice(0, NAMES_SHOWN_MAX).join(', ')}`;
  return `there is no server ${server} in pool ${pool}${known}`;
}

export function unknownPool(status: StatusDocument, pool: string): string {
  const names = status.pools.map(({ name }) => name);
  const all = `; ${names.length === 1 ? 'the only one is' : 'there are'} ${names.slice(0, NAMES_SHOWN_MAX).join(', ')}`;
  return `there is no pool ${pool}${didYouMean(pool, names) || all}`;
}

function strangeAnswer(tried: string, status: number, text: string): string {
  const shown = text
    .replace(/\s+/g, ' ')
    .replace(/[^ -~]/g, '?')
    .trim()
    .slice(0, SHOWN_CHARACTERS_MAX);
  return `${tried}: status ${status}, which is no answer of Holdfast's admin API (${shown}); check --admin`;
}

function tokenAdvice(token: string): string {
  if (token === '') return 'a token is needed; give it by HOLDFAST_ADMIN_TOKEN or --token';
  return 'the token was refused; give the one in the configuration by HOLDFAST_ADMIN_TOKEN or --token';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function readError(document: unknown): { code: string; message: string } {
  const none = { code: '', message: '' };
  if (typeof document !== 'object' || document === null || !('error' in document)) return none;
  const { error } = document;
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return none;
  return { code: String(error.code), message: String(error.message) };
}
