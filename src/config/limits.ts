// How much a configuration may hold. What is in shared memory is sized after these, so that `check` and `run` agree.

/** Of a server. */
export const WEIGHT_MAX = 1_000;
export const LISTENERS_MAX = 64;
export const POOLS_MAX = 256;
/** Over all pools, written and found ones together; those that are leaving are not counted. */
export const SERVERS_MAX = 1_024;
