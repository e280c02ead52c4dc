// What the servers say about themselves: memory, messages between them, operations on the store. Never used to judge
// losses; that is for the clients to say.
import { request } from 'undici';
import type { DemoBackend } from '../demo/launch.ts';
import { mean, sum } from './statistics.ts';

/** The part of GET /lab/stats that is used. */
export interface ServerStats {
  readonly sessionsScope: 'server' | 'pool';
  readonly sessions: number | null;
  readonly bytes: number | null;
  readonly messagesSent: number;
  readonly messageBytesSent: number;
  readonly storeReads: number;
  readonly storeWrites: number;
  readonly heapUsed: number;
  readonly rss: number;
}

export interface MemoryEvidence {
  /** Copies of each live session that servers and store keep. */
  readonly copies: number;
  readonly bytesPerSession: number;
  readonly storeBytes: number;
  readonly heapBytesMean: number;
  readonly rssBytesMean: number;
}

export interface WireEvidence {
  /** Messages between servers for one acknowledged change (write, log-in). */
  readonly messagesPerWrite: number;
  readonly messageBytesPerWrite: number;
  /** Operations on the session store for one request. */
  readonly storeOperationsPerRequest: number;
}

/** Asks every server that answers within a second. */
export async function collectStats(backends: readonly DemoBackend[]): Promise<readonly ServerStats[]> {
  const answers = await Promise.all(
    backends.map(async ({ statsUrl }) => {
      try {
        const response = await request(`${statsUrl}/lab/stats`, { headersTimeout: 1000, bodyTimeout: 1000 });
        return (await response.body.json()) as ServerStats;
      } catch {
        return null;
      }
    }),
  );
  return answers.filter((answer) => answer !== null);
}

/** Memory by what servers hold; `live` is the number of sessions the clients have. Pure. */
export function memoryOf(stats: readonly ServerStats[], live: number): MemoryEvidence {
  const isPool = stats.some(({ sessionsScope }) => sessionsScope === 'pool');
  // Every backend reports the one store they share.
  const holders = isPool ? stats.slice(0, 1) : stats;
  const sessions = sum(holders.map((one) => one.sessions ?? 0));
  const storeBytes = sum(holders.map((one) => one.bytes ?? 0));
  const bytesPerSession = sessions === 0 ? 0 : storeBytes / sessions;
  return {
    copies: live === 0 || bytesPerSession === 0 ? 0 : storeBytes / (live * bytesPerSession),
    bytesPerSession,
    storeBytes,
    heapBytesMean: mean(stats.map(({ heapUsed }) => heapUsed)),
    rssBytesMean: mean(stats.map(({ rss }) => rss)),
  };
}

/** Traffic between two readings of the same servers. Pure. */
export function wireOf(
  before: readonly ServerStats[],
  after: readonly ServerStats[],
  writes: number,
  requests: number,
): WireEvidence {
  const grown = (pick: (stats: ServerStats) => number): number =>
    sum(after.map(pick)) - sum(before.map(pick));
  return {
    messagesPerWrite: writes === 0 ? 0 : grown((one) => one.messagesSent) / writes,
    messageBytesPerWrite: writes === 0 ? 0 : grown((one) => one.messageBytesSent) / writes,
    storeOperationsPerRequest:
      requests === 0 ? 0 : grown((one) => one.storeReads + one.storeWrites) / requests,
  };
}
