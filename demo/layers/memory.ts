// Sessions in the memory of one process: express-session's own MemoryStore, with the expiry it does not do.
import { setInterval } from 'node:timers';
import session from 'express-session';
import { systemClock } from '../../src/base/clock.ts';
import { asSessionState, type BanResult, type LayerStats } from '../session-layer.ts';
import type { SessionRecords } from './express-store.ts';

/** How often expired sessions are looked for; a read never returns one in between. */
const PRUNE_EVERY_MS = 1000;

/** MemoryStore with pruning. `express-session` never frees a session that nobody asks for again. */
export class MemoryRecords implements SessionRecords {
  readonly sentence =
    'Each server keeps its own sessions in its own memory; another server does not know them.';
  readonly #store = new session.MemoryStore();
  readonly #expiresAtMs = new Map<string, number>();
  #started = 0;
  #ended = 0;
  readonly #pruning = setInterval(() => this.#prune(), PRUNE_EVERY_MS).unref();

  begin(): Promise<void> {
    return Promise.resolve();
  }

  load(id: string): Promise<session.SessionData | null> {
    if (!this.#isLive(id)) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#store.get(id, (error, data) => (error ? reject(error) : resolve(data ?? null)));
    });
  }

  create(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    if (!this.#expiresAtMs.has(id)) this.#started += 1;
    this.#expiresAtMs.set(id, systemClock.wallMs() + ttlMs);
    return new Promise((resolve, reject) => {
      this.#store.set(id, data, (error) => (error ? reject(error) : resolve()));
    });
  }

  async replace(id: string, data: session.SessionData, ttlMs: number): Promise<boolean> {
    if (!this.#isLive(id)) return false;
    await this.create(id, data, ttlMs);
    return true;
  }

  touch(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    if (!this.#isLive(id)) return Promise.resolve();
    this.#expiresAtMs.set(id, systemClock.wallMs() + ttlMs);
    return new Promise((resolve) => {
      this.#store.touch(id, data, resolve);
    });
  }

  remove(id: string): Promise<void> {
    if (this.#expiresAtMs.delete(id)) this.#ended += 1;
    return new Promise((resolve, reject) => {
      this.#store.destroy(id, (error) => (error ? reject(error) : resolve()));
    });
  }

  async ban(user: string): Promise<BanResult> {
    const ids = [...(await this.#all())].filter(([, data]) => asSessionState(data.state)?.user === user);
    await Promise.all(ids.map(([id]) => this.remove(id)));
    return { ended: ids.length, scope: 'server' };
  }

  async stats(): Promise<Partial<LayerStats>> {
    this.#prune();
    const all = await this.#all();
    return {
      sessions: all.size,
      started: this.#started,
      ended: this.#ended,
      bytes: [...all.values()].reduce((sum, data) => sum + JSON.stringify(data).length, 0),
    };
  }

  end(): Promise<void> {
    clearInterval(this.#pruning);
    return Promise.resolve();
  }

  #isLive(id: string): boolean {
    return (this.#expiresAtMs.get(id) ?? 0) > systemClock.wallMs();
  }

  #all(): Promise<ReadonlyMap<string, session.SessionData>> {
    return new Promise((resolve, reject) => {
      this.#store.all((error, all) => (error ? reject(error) : resolve(new Map(Object.entries(all ?? {})))));
    });
  }

  #prune(): void {
    const nowMs = systemClock.wallMs();
    for (const [id, expiresAtMs] of this.#expiresAtMs) {
      if (expiresAtMs > nowMs) continue;
      this.#expiresAtMs.delete(id);
      this.#ended += 1;
      this.#store.destroy(id);
    }
  }
}
