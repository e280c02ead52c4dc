// The servers that one lookup after another has found, and how they come and go. Pure.
//
//   found ── present (ready) ── not found ── leaving (mode drain) ── empty, or too long ── gone
//                 ^──────────────── found again ───'

import { parseServerUrl, serverNameOf } from '../config/address.ts';
import type { ServerAddress, ServerConfig } from '../config/model.ts';
import type { KeptServer } from '../sessions/records.ts';

/** A server that a lookup has found. */
export interface FoundServer extends ServerAddress, Pick<ServerConfig, 'name' | 'weight' | 'backup'> {
  /** The name in an SRV answer that its address is of; null: there is none. */
  readonly target: string | null;
}

/** What earlier looks have found: it stays where an answer has more than may be used. */
export interface Known {
  hasServer(name: string): boolean;
  hasTarget(target: string): boolean;
}

/** A server that has left stays at least so long: counts of sessions and requests lag behind by a sweep. */
export const LEAVING_MS_MIN = 5_000;
/** And at most so long, whoever is still there. */
export const LEAVING_MS_MAX = 3_600_000;

interface Member {
  readonly found: FoundServer;
  /** null: present. */
  leftMs: number | null;
}

/** Those of each server that is found. */
type ServerLimits = Pick<ServerConfig, 'maxConnections' | 'maxSessions'>;

export class Membership implements Known {
  readonly #limits: ServerLimits;
  readonly #members = new Map<string, Member>();
  /** Of the servers present now. */
  #targets: ReadonlySet<string | null> = new Set();

  constructor({ maxConnections, maxSessions }: ServerLimits) {
    this.#limits = { maxConnections, maxSessions };
  }

  hasServer(name: string): boolean {
    return this.#members.has(name);
  }

  hasTarget(target: string): boolean {
    return this.#targets.has(target);
  }

  /** What was found before there was this: as if this had found it. The next look says what is still so. */
  remember(servers: readonly Omit<KeptServer, 'pool' | 'source'>[], nowMs: number): void {
    for (const { url, isLeaving, ...place } of servers) {
      const address = parseServerUrl(url);
      if ('refused' in address) continue;
      const name = serverNameOf(address);
      this.#members.set(name, { found: { name, ...address, ...place }, leftMs: isLeaving ? nowMs : null });
    }
  }

  /** For `remember`. */
  remembered(): readonly Omit<KeptServer, 'pool' | 'source'>[] {
    return [...this.#members.values()].map(({ found: { url, weight, backup, target }, leftMs }) => ({
      url,
      weight,
      backup,
      target,
      isLeaving: leftMs !== null,
    }));
  }

  /** Servers present now. */
  get size(): number {
    let count = 0;
    for (const { leftMs } of this.#members.values()) if (leftMs === null) count += 1;
    return count;
  }

  /**
   * A lookup has found these, at least one. Servers of a target that could not be asked for stay as they are. True when
   * something is different.
   */
  apply(found: readonly FoundServer[], unknownTargets: readonly string[], nowMs: number): boolean {
    let isChanged = false;
    const names = new Set(found.map(({ name }) => name));
    for (const server of found) {
      const known = this.#members.get(server.name);
      this.#members.set(server.name, { found: server, leftMs: null });
      if (known?.leftMs !== null || !isSame(known.found, server)) isChanged = true;
    }
    for (const [name, member] of this.#members) {
      if (names.has(name) || member.leftMs !== null) continue;
      if (member.found.target !== null && unknownTargets.includes(member.found.target)) continue;
      member.leftMs = nowMs;
      isChanged = true;
    }
    const present = [...this.#members.values()].filter(({ leftMs }) => leftMs === null);
    this.#targets = new Set(present.map((member) => member.found.target));
    return isChanged;
  }

  /** Lets go of servers that have left and that nobody needs any more. True when some did. */
  release(nowMs: number, isEmpty: (name: string) => boolean): boolean {
    let isChanged = false;
    for (const [name, { leftMs }] of this.#members) {
      if (leftMs === null || nowMs - leftMs < LEAVING_MS_MIN) continue;
      if (nowMs - leftMs < LEAVING_MS_MAX && !isEmpty(name)) continue;
      this.#members.delete(name);
      isChanged = true;
    }
    return isChanged;
  }

  /** As the configuration would list them, those that are leaving in mode drain. */
  servers(): readonly ServerConfig[] {
    return [...this.#members.values()].map(({ found: { target: _target, ...server }, leftMs }) => ({
      ...server,
      ...this.#limits,
      mode: leftMs === null ? 'ready' : 'drain',
    }));
  }
}

function isSame(first: FoundServer, second: FoundServer): boolean {
  return first.url === second.url && first.weight === second.weight && first.backup === second.backup;
}
