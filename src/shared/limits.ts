// Sizes of everything in shared memory. Pages that are never touched are never committed, so generous
// bounds cost address space only.

/** Server slots over all pools, servers removed but still remembered included. */
export const SLOTS_MAX = 1024;
export const POOLS_MAX = 256;
export const LISTENERS_MAX = 64;
export const WORKERS_MAX = 64;
