// A backend's link to sessiond: keep-alive HTTP with deadlines short enough that a dead database shows as 503.
import { Pool } from 'undici';
import type { Operation } from './session-database.ts';
import { StoreUnavailable } from './session-layer.ts';
import type { PasswordRecord, UserDirectory } from './users.ts';

const CONNECTIONS_MAX = 32;
const CONNECT_MS_MAX = 1000;
const ANSWER_MS_MAX = 2000;

/** Calls operations of one sessiond. Rejects with StoreUnavailable when it cannot be reached or answers too late. */
export class SessiondClient {
  readonly #pool: Pool;
  readonly #authorization: string;

  constructor(url: string, secret: string) {
    this.#authorization = `Bearer ${secret}`;
    this.#pool = new Pool(url, {
      connections: CONNECTIONS_MAX,
      connect: { timeout: CONNECT_MS_MAX },
      headersTimeout: ANSWER_MS_MAX,
      bodyTimeout: ANSWER_MS_MAX,
    });
  }

  async call(operation: Operation, body: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      return await this.#request(operation, JSON.stringify(body));
    } catch (error) {
      throw new StoreUnavailable('the session database cannot be reached', { cause: error });
    }
  }

  end(): Promise<void> {
    return this.#pool.destroy();
  }

  async #request(operation: Operation, body: string): Promise<unknown> {
    const { statusCode, body: answer } = await this.#pool.request({
      path: `/${operation}`,
      method: 'POST',
      headers: { authorization: this.#authorization, 'content-type': 'application/json' },
      body,
    });
    const text = await answer.text();
    if (statusCode !== 200) throw new Error(`sessiond answered ${operation} with ${statusCode}`);
    return JSON.parse(text);
  }
}

/** The users in sessiond's database. */
export function sessiondDirectory(client: SessiondClient): UserDirectory {
  return {
    async find(name) {
      const found = (await client.call('user', { name })) as Partial<PasswordRecord> | null;
      if (found === null) return null;
      const { salt, hash, cost } = found;
      if (typeof salt !== 'string' || typeof hash !== 'string' || typeof cost !== 'number') return null;
      return { salt, hash, cost };
    },
  };
}
