// Sizes of everything in shared memory. Pages that are never touched are never committed, so generous
// bounds cost address space only. Each is a multiple of what a configuration may hold: what a change removes still has
// requests in flight when what it adds already needs a number.

import { LISTENERS_MAX, POOLS_MAX, SERVERS_MAX } from '../config/limits.ts';

/** Server slots over all pools, removed servers included: all that 12 bits of a session's home can name. */
export const SLOTS_MAX = 4 * SERVERS_MAX;
export const POOL_IDS_MAX = 2 * POOLS_MAX;
export const LISTENER_IDS_MAX = 2 * LISTENERS_MAX;
export const WORKERS_MAX = 64;
