// Every server keeps every session: each change is broadcast to all peers, a joiner receives everything before it
// says ready. Asynchronous: the answer does not wait for the peers. Synchronous: it does.
import { setInterval } from 'node:timers';
import type session from 'express-session';
import { systemClock } from '../../src/base/clock.ts';
import type { BackendOptions } from '../flags.ts';
import { asSessionState, type BanResult, type LayerStats } from '../session-layer.ts';
import { type SessionRecords, storeKey } from './express-store.ts';
import { PeerLinks } from './peer-links.ts';
import { type Entry, ReplicatedMap } from './replicated-map.ts';

type Options = Pick<BackendOptions, 'name' | 'secret' | 'replication' | 'peers' | 'peerPort' | 'limits'>;

const PRUNE_EVERY_MS = 1000;
/** Peers hear of a session's use when its expiry has moved by this part of the idle timeout: not at every read. */
const TOUCH_AFTER = 0.1;

/** Session records on every server. */
export class ReplicatedRecords implements SessionRecords {
  readonly sentence: string;
  readonly #options: Options;
  readonly #announce: (line: string) => void;
  readonly #map: ReplicatedMap;
  readonly #links: PeerLinks;
  readonly #waits: boolean;
  readonly #pruning = setInterval(() => this.#map.prune(systemClock.wallMs()), PRUNE_EVERY_MS).unref();

  constructor(options: Options, announce: (line: string) => void) {
    this.#options = options;
    this.#announce = announce;
    this.#waits = options.replication === 'sync';
    this.sentence = `Every server keeps a copy of every session; changes are broadcast ${
      this.#waits ? 'and confirmed before the answer' : 'right after the answer'
    }.`;
    this.#map = new ReplicatedMap(options.name);
    this.#links = new PeerLinks({
      name: options.name,
      secret: options.secret,
      take: (entry) => this.#map.merge(entry),
      touch: (key, expiresAtMs) => this.#map.touch(key, expiresAtMs, systemClock.wallMs()),
      entries: () => this.#map.all(),
    });
  }

  async begin(): Promise<void> {
    this.#announce(`peers on ${await this.#links.listen(this.#options.peerPort)}`);
    const { peers } = this.#options;
    if (!(await this.#links.join(peers)) && peers.length > 0) {
      // The others may all be dead; waiting for them would turn one failure into two.
      this.#announce('no peer answered; starting without their sessions');
    }
  }

  load(id: string): Promise<session.SessionData | null> {
    const json = this.#map.find(storeKey(id), systemClock.wallMs())?.json ?? null;
    return Promise.resolve(json === null ? null : (JSON.parse(json) as session.SessionData));
  }

  async create(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    await this.#send(this.#put(storeKey(id), data, ttlMs));
  }

  async replace(id: string, data: session.SessionData, ttlMs: number): Promise<boolean> {
    const key = storeKey(id);
    if (this.#map.find(key, systemClock.wallMs()) === null) return false;
    await this.#send(this.#put(key, data, ttlMs));
    return true;
  }

  touch(id: string, _data: session.SessionData, ttlMs: number): Promise<void> {
    const nowMs = systemClock.wallMs();
    const key = storeKey(id);
    const found = this.#map.find(key, nowMs);
    const movedMs = found === null ? 0 : nowMs + ttlMs - found.expiresAtMs;
    if (movedMs >= this.#options.limits.idleMs * TOUCH_AFTER) {
      this.#map.touch(key, nowMs + ttlMs, nowMs);
      this.#links.touch(key, nowMs + ttlMs);
    }
    return Promise.resolve();
  }

  async remove(id: string): Promise<void> {
    const key = storeKey(id);
    if (this.#map.find(key, systemClock.wallMs()) !== null) {
      await this.#send(this.#map.remove(key, systemClock.wallMs()));
    }
  }

  async ban(user: string): Promise<BanResult> {
    const entries = this.#map.live(systemClock.wallMs()).filter((entry) => entry.user === user);
    await Promise.all(entries.map(({ key }) => this.#send(this.#map.remove(key, systemClock.wallMs()))));
    return { ended: entries.length, scope: 'pool' };
  }

  stats(): Promise<Partial<LayerStats>> {
    const live = this.#map.live(systemClock.wallMs());
    const bytes = live.reduce((sum, { json }) => sum + (json?.length ?? 0), 0);
    return Promise.resolve({ sessions: live.length, bytes, ...this.#links.counts });
  }

  end(): Promise<void> {
    clearInterval(this.#pruning);
    return this.#links.end();
  }

  #put(key: string, data: session.SessionData, ttlMs: number): Entry {
    const nowMs = systemClock.wallMs();
    const user = asSessionState(data.state)?.user ?? '';
    return this.#map.put(key, user, JSON.stringify(data), nowMs + ttlMs, nowMs);
  }

  #send(entry: Entry): Promise<void> {
    return this.#links.send(entry, this.#waits);
  }
}
