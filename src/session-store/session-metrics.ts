// What an application's own Prometheus page can say of its sessions, through the application's prom-client.
import type { Counter, Gauge, Registry } from 'prom-client';
import type { HomeSessions, SessionsStats } from './home-sessions.ts';

type Figure = readonly [name: string, help: string, value: (stats: SessionsStats) => number];

const GAUGES: readonly Figure[] = [
  ['sessions', 'Sessions whose home is this server', ({ sessions }) => sessions],
  ['bytes', 'Memory of these sessions, roughly', ({ bytes }) => bytes],
  ['unbacked', 'Sessions and ends of sessions that the store does not have yet', ({ unbacked }) => unbacked],
  ['rejected', 'Of the unbacked, what the store has refused again and again', ({ rejected }) => rejected],
  ['backlog', 'Operations that the store has not answered', ({ backlog }) => backlog],
  ['store_up', 'Whether the store is connected', ({ isStoreUp }) => Number(isStoreUp)],
];
const COUNTERS: readonly Figure[] = [
  ['hits_total', 'Reads answered from memory', ({ hits }) => hits],
  ['loads_total', 'Sessions asked of the store', ({ loads }) => loads],
  ['takeovers_total', "Sessions taken that were another server's", ({ takeovers }) => takeovers],
  ['refused_writes_total', 'Writes refused as another server had the session', ({ refused }) => refused],
  ['lost_total', 'Sessions that another server has taken', ({ lost }) => lost],
  ['dropped_total', 'Copies dropped to keep the limits', ({ dropped }) => dropped],
  ['expired_total', 'Sessions that were over', ({ expired }) => expired],
  ['unreadable_total', 'Sessions that could not be opened', ({ unreadable }) => unreadable],
  ['store_operations_total', 'Operations sent to the store', ({ operations }) => operations],
  ['store_away_seconds_total', 'Time without an answer of the store', (stats) => stats.storeAwaySeconds],
];

/** What of the package prom-client is used. */
export interface PromClient {
  readonly Gauge: typeof Gauge;
  readonly Counter: typeof Counter;
  readonly register: Registry;
}

/**
 * Adds `holdfast_session_store_*` to a registry. `promClient` is the application's `prom-client`, `registry` its default one
 * unless said otherwise.
 */
export function collectMetrics(
  sessions: Pick<HomeSessions, 'stats'>,
  promClient: PromClient,
  registry: Registry = promClient.register,
): void {
  const named = ([name, help]: Figure) => ({
    name: `holdfast_session_store_${name}`,
    help,
    registers: [registry],
  });
  for (const figure of GAUGES)
    new promClient.Gauge({
      ...named(figure),
      collect() {
        this.set(figure[2](sessions.stats()));
      },
    });
  for (const figure of COUNTERS)
    new promClient.Counter({
      ...named(figure),
      collect() {
        this.reset();
        this.inc(figure[2](sessions.stats()));
      },
    });
}
