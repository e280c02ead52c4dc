// Times that follow from how the demo, its balancer and its stores are configured. Each is a sum of configured waits;
// what a machine needs to compute comes on top and is small beside them. Pure.
import { DEMO_HEALTH } from '../demo/balancer-config.ts';
import { DIAL_MS_MAX, REDIAL_MS } from '../demo/layers/peer-links.ts';
import { RECONNECT_MS_MAX } from '../demo/layers/redis.ts';
import { DOWN_AFTER_MS } from '../demo/redis-servers.ts';
import type { Bracket } from './statistics.ts';

/** Health checks keep their interval to this part. */
const CHECK_JITTER = 0.1;

/** Sentinel's own periods (sentinel.c): questions to the others, desynchronised start, look at the replica, tick. */
const SENTINEL_ASK_MS = 1000;
const SENTINEL_DESYNC_MS = 1000;
const SENTINEL_INFO_MS = 1000;
const SENTINEL_TICK_MS: Bracket = { low: 50, high: 100 };
/** Ticks from "down" to "promoted": down, election, choice of a replica, order to it. */
const SENTINEL_TICKS = 4;

/**
 * From a hang to the verdict "down": `fall` checks have to time out one after the other, each after an interval's
 * time; before the first, at most one interval with its jitter passes, and between them what the jitter adds.
 */
export function hangNoticedMs(): Bracket {
  const { intervalMs, fall } = DEMO_HEALTH;
  const timeoutsMs = fall * intervalMs;
  const jitterMs = CHECK_JITTER * intervalMs;
  return { low: timeoutsMs, high: timeoutsMs + intervalMs + fall * jitterMs };
}

/**
 * From the death of a Redis primary to the clients' return, with Sentinels. Shortest: the last answer was a
 * down-after ago already. Longest: every period has just begun.
 */
export function takeoverMs(): Bracket {
  return {
    low: SENTINEL_TICKS * SENTINEL_TICK_MS.low,
    high:
      DOWN_AFTER_MS +
      SENTINEL_ASK_MS +
      SENTINEL_DESYNC_MS +
      SENTINEL_INFO_MS +
      SENTINEL_TICKS * SENTINEL_TICK_MS.high +
      RECONNECT_MS_MAX,
  };
}

/** Longest wait of a client of a store that is back: HTTP is tried at each request, Redis after a growing pause. */
export function reconnectMsMax(store: 'sessiond' | 'redis'): number {
  return store === 'redis' ? RECONNECT_MS_MAX : 0;
}

/** Longest that a replicated server which was cut off answers from what it knew: until it is dialled and told. */
export function staleMsMax(): number {
  return REDIAL_MS + DIAL_MS_MAX;
}
