// The written configuration to the model of the other rooms: complete, units in the names, frozen.

import { discoveries, listeners, servers, stickyForm } from './forms.ts';
import type { HoldfastConfig, PoolConfig, RateLimitConfig, RouteConfig, StickyConfig } from './model.ts';
import type { Written, WrittenListener, WrittenPool } from './schema.ts';
import { aliasesOf, cookieOf, ownerOf } from './sticky-checks.ts';

/** Permissions of the file of a unix socket. */
const SOCKET_MODE = '0660';

export function buildConfig(written: Written): HoldfastConfig {
  const poolCount = Object.keys(written.pools).length;
  const pools = Object.entries(written.pools).map(([name, pool]) => buildPool(name, pool, poolCount === 1));
  return deepFreeze({
    threads: written.threads,
    listen: listeners(written.listen).map(({ address, mode, timeouts, limits, rateLimit, halfClose }) => ({
      address: address.address,
      host: address.host,
      port: address.port,
      socket:
        address.socketPath === null
          ? null
          : { path: address.socketPath, mode: Number.parseInt(mode ?? SOCKET_MODE, 8) },
      timeouts: {
        headerMs: timeouts.header,
        bodyMs: timeouts.body,
        keepAliveMs: timeouts.keepAlive,
        tunnelMs: timeouts.tunnel,
      },
      limits: { ...limits },
      rateLimit: buildRateLimit(rateLimit),
      halfClose,
    })),
    admin:
      written.admin === 'off'
        ? null
        : { host: written.admin.address.host, port: written.admin.address.port, token: written.admin.token },
    trusted: written.trusted.map(({ cidr }) => cidr),
    accessLog: buildAccessLog(written.accessLog),
    startsTraces: written.traceparent === 'on',
    via: written.via === 'off' ? null : written.via,
    showsDetails: written.errorDetails === 'on',
    resolver: written.resolver,
    shutdown: { graceMs: written.shutdown.grace },
    sessions: {
      max: written.sessions.max,
      file: written.sessions.file ?? null,
      saveEveryMs: written.sessions.saveEvery,
      perAddress: written.sessions.perAddress,
    },
    routes: buildRoutes(written, pools),
    pools,
  });
}

function buildAccessLog(written: Written['accessLog']): HoldfastConfig['accessLog'] {
  if (written === 'off') return null;
  if (written === 'json') return { format: 'json', sample: 1, file: null };
  return { format: written.format, sample: written.sample, file: written.file ?? null };
}

function buildRoutes(written: Written, pools: readonly PoolConfig[]): readonly RouteConfig[] {
  if (written.routes === undefined)
    return pools.map(({ name }) => ({
      host: null,
      path: null,
      stripPrefix: false,
      pool: name,
      rateLimit: null,
    }));
  return written.routes.map(({ host, path, stripPrefix, pool, rateLimit }) => ({
    host: host?.toLowerCase() ?? null,
    path: path ?? null,
    stripPrefix,
    pool,
    rateLimit: buildRateLimit(rateLimit),
  }));
}

function buildRateLimit(written: WrittenListener['rateLimit']): RateLimitConfig | null {
  if (written === undefined) return null;
  return { key: written.key, perSecond: written.rate, burst: written.burst };
}

function buildPool(name: string, pool: WrittenPool, isOnly: boolean): PoolConfig {
  const { rebalance } = pool;
  return {
    name,
    policy: pool.policy,
    sticky: buildSticky(name, pool.sticky, isOnly),
    state: pool.state,
    health: pool.health === 'off' ? null : buildHealth(pool.health, pool.host),
    passive: pool.passive === 'off' ? null : buildPassive(pool.passive),
    retry: { attempts: pool.retry.attempts, budget: pool.retry.budget, status: pool.retry.status },
    queue: {
      size: pool.queue.size,
      timeoutMs: pool.queue.timeout,
      whenDownMs: pool.queue.whenDown ?? pool.queue.timeout,
    },
    timeouts: {
      connectMs: pool.timeouts.connect,
      responseMs: pool.timeouts.response,
      idleMs: pool.timeouts.idle,
    },
    keepAlive: { max: pool.keepAlive.max, idleMs: pool.keepAlive.idle },
    host: pool.host,
    limits: { ...pool.limits },
    slowStartMs: pool.slowStart,
    holdUntilComplete: pool.holdUntilComplete,
    rebalance: {
      mode: rebalance.mode,
      start: rebalance.start,
      stop: rebalance.stop,
      budget: rebalance.budget,
      everyMs: rebalance.every,
    },
    discovery: discoveries(pool.servers),
    servers: servers(pool.servers).map(
      ({ name: serverName, address, weight, maxConnections, backup, mode }) => ({
        name: serverName,
        ...address,
        weight,
        maxConnections,
        backup,
        mode,
      }),
    ),
  };
}

function buildHealth(
  health: Exclude<WrittenPool['health'], 'off'>,
  hostSent: string,
): NonNullable<PoolConfig['health']> {
  // a check without a path sends none
  const isNamed = hostSent !== 'keep' && hostSent !== 'server' && health.path !== undefined;
  return {
    path: health.path ?? null,
    host: health.host ?? (isNamed ? hostSent : null),
    headers: Object.fromEntries(
      Object.entries(health.headers).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    method: health.method,
    port: health.port ?? null,
    body: health.body ?? null,
    intervalMs: health.interval,
    timeoutMs: health.timeout,
    rise: health.rise,
    fall: health.fall,
    status: health.status,
  };
}

function buildPassive(passive: Exclude<WrittenPool['passive'], 'off'>): NonNullable<PoolConfig['passive']> {
  return {
    failures: passive.failures,
    windowMs: passive.window,
    ejectMs: passive.eject,
    maxEjected: passive.maxEjected,
    status: passive.status,
    clients: passive.clients,
    panic: passive.panic,
  };
}

function buildSticky(pool: string, written: WrittenPool['sticky'], isOnly: boolean): StickyConfig {
  const sticky = stickyForm(written);
  const cookie = cookieOf(sticky, pool, isOnly);
  const cookieOwner = ownerOf(sticky, pool);
  const { attributes } = sticky;
  const readsHeader = sticky.mode === 'header-hash' || sticky.mode === 'learn';
  return {
    mode: sticky.mode,
    cookie,
    cookieAliases: cookieOwner === 'balancer' ? aliasesOf(cookie, pool) : [],
    cookieOwner,
    header: readsHeader ? (sticky.header?.toLowerCase() ?? null) : null,
    secrets: sticky.secret,
    mask: sticky.mask,
    attributes: {
      httpOnly: attributes.httpOnly,
      secure: attributes.secure,
      sameSite: attributes.sameSite === 'off' ? null : attributes.sameSite,
      path: attributes.path,
      domain: attributes.domain ?? null,
      maxAgeMs: attributes.maxAge ?? null,
      partitioned: attributes.partitioned,
    },
    idleMs: sticky.idle,
    lifeMs: sticky.life,
    bound: sticky.bound,
    whenDown: sticky.whenDown,
    movesPerSecond: sticky.moveRate ?? null,
    failBack: sticky.failBack,
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
