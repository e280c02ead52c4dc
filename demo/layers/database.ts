// Sessions in a central database: each request reads and writes them over the network to sessiond.
import type session from 'express-session';
import { asSessionState, type BanResult, type LayerStats } from '../session-layer.ts';
import type { SessiondClient } from '../sessiond-client.ts';
import { type SessionRecords, storeKey } from './express-store.ts';

/** Session records in sessiond. */
export class DatabaseRecords implements SessionRecords {
  readonly sentence =
    'Sessions and users are in one central database; every server asks it at every request.';
  readonly #client: SessiondClient;

  constructor(client: SessiondClient) {
    this.#client = client;
  }

  async begin(): Promise<void> {
    await this.#client.call('stats', {});
  }

  async load(id: string): Promise<session.SessionData | null> {
    const row = (await this.#client.call('load', { key: storeKey(id) })) as { readonly data: string } | null;
    return row === null ? null : (JSON.parse(row.data) as session.SessionData);
  }

  async create(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    const user = asSessionState(data.state)?.user ?? '';
    await this.#client.call('create', { key: storeKey(id), user, data: JSON.stringify(data), ttlMs });
  }

  async replace(id: string, data: session.SessionData, ttlMs: number): Promise<boolean> {
    return (
      (await this.#client.call('replace', { key: storeKey(id), data: JSON.stringify(data), ttlMs })) === true
    );
  }

  async touch(id: string, _data: session.SessionData, ttlMs: number): Promise<void> {
    await this.#client.call('touch', { key: storeKey(id), ttlMs });
  }

  async remove(id: string): Promise<void> {
    await this.#client.call('remove', { key: storeKey(id) });
  }

  async ban(user: string): Promise<BanResult> {
    return { ended: Number(await this.#client.call('ban', { user })), scope: 'pool' };
  }

  async stats(): Promise<Partial<LayerStats>> {
    try {
      const totals = (await this.#client.call('stats', {})) as {
        readonly sessions: number;
        readonly bytes: number;
      };
      return { sessionsScope: 'pool', sessions: totals.sessions, bytes: totals.bytes };
    } catch {
      // The database is down: that is what the null says.
      return { sessionsScope: 'pool', sessions: null, bytes: null };
    }
  }

  end(): Promise<void> {
    return this.#client.end();
  }
}
