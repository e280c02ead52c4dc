// The door of `holdfast/session-store`: sessions that live in their home's memory with a backup in Redis or Valkey.

// biome-ignore-start lint/performance/noBarrelFile: the door of the package
export { SessionConflictError, SessionEndedError, StoreAwayError } from './errors.ts';
export { type Backed, HomeSessions, type SessionsStats } from './home-sessions.ts';
export { HomeStore } from './home-store.ts';
export type { SessionsOptions } from './options.ts';
export { collectMetrics } from './session-metrics.ts';
export type { RedisClient, RedisConnection, RedisSource } from './store-connection.ts';
// biome-ignore-end lint/performance/noBarrelFile: the door of the package
