// The effective configuration as YAML: every default filled in, secrets hidden. What it prints loads again.

import { stringify } from 'yaml';
import { formatBytes, formatDuration, formatPercent } from '../base/units.ts';
import { formatHostPort } from './address.ts';
import type {
  DiscoveryConfig,
  HoldfastConfig,
  ListenConfig,
  PoolConfig,
  RateLimitConfig,
  ServerConfig,
  StickyConfig,
} from './model.ts';
import { formatRate } from './rate.ts';

const HIDDEN = '***';

/** Secrets that are set are printed as `***`, unset ones as the empty text. */
export function printConfig(config: HoldfastConfig): string {
  return stringify(escapeSubstitutions(writable(config)), { lineWidth: 0, aliasDuplicateObjects: false });
}

function writable(config: HoldfastConfig): object {
  const { admin, sessions } = config;
  return {
    threads: config.threads ?? 'auto',
    listen: config.listen.map(writableListener),
    admin: admin === null ? 'off' : { address: formatHostPort(admin), token: hide(admin.token) },
    trusted: config.trusted,
    accessLog: writableAccessLog(config.accessLog),
    traceparent: config.startsTraces ? 'on' : 'off',
    via: config.via ?? 'off',
    errorDetails: config.showsDetails ? 'on' : 'off',
    resolver: config.resolver,
    shutdown: { grace: formatDuration(config.shutdown.graceMs) },
    sessions: {
      max: sessions.max,
      ...present('file', sessions.file),
      saveEvery: formatDuration(sessions.saveEveryMs),
      perAddress: sessions.perAddress,
    },
    routes: config.routes.map(({ host, path, stripPrefix, pool, rateLimit }) => ({
      ...present('host', host),
      ...present('path', path),
      stripPrefix,
      pool,
      ...(rateLimit === null ? {} : { rateLimit: writableRateLimit(rateLimit) }),
    })),
    pools: Object.fromEntries(config.pools.map((pool) => [pool.name, writablePool(pool)])),
  };
}

function writableListener({ address, socket, timeouts, limits, rateLimit, halfClose }: ListenConfig): object {
  return {
    address,
    ...present('mode', socket === null ? null : socket.mode.toString(8).padStart(4, '0')),
    timeouts: {
      header: formatDuration(timeouts.headerMs),
      body: formatDuration(timeouts.bodyMs),
      keepAlive: formatDuration(timeouts.keepAliveMs),
      tunnel: formatDuration(timeouts.tunnelMs),
    },
    limits: {
      headerBytes: formatBytes(limits.headerBytes),
      headerCount: limits.headerCount,
      bodyBytes: limits.bodyBytes === 0 ? 0 : formatBytes(limits.bodyBytes),
      connections: limits.connections,
      connectionsPerAddress: limits.connectionsPerAddress,
      requestsPerConnection: limits.requestsPerConnection,
      minRate: limits.minRate === 0 ? 0 : formatBytes(limits.minRate),
    },
    ...(rateLimit === null ? {} : { rateLimit: writableRateLimit(rateLimit) }),
    halfClose,
  };
}

function writableAccessLog(accessLog: HoldfastConfig['accessLog']): object | 'off' {
  if (accessLog === null) return 'off';
  return { format: accessLog.format, sample: accessLog.sample, ...present('file', accessLog.file) };
}

function writableRateLimit({ key, perSecond, burst }: RateLimitConfig): object {
  const name = key.kind === 'address' ? '' : ` ${key.name}`;
  return { key: `${key.kind}${name}`, rate: formatRate(perSecond), burst };
}

function writablePool(pool: PoolConfig): object {
  const { queue, timeouts, keepAlive, rebalance, retry } = pool;
  return {
    policy: pool.policy,
    sticky: writableSticky(pool.sticky),
    state: pool.state,
    health: writableHealth(pool.health),
    passive: writablePassive(pool.passive),
    retry: { attempts: retry.attempts, budget: formatPercent(retry.budget), status: retry.status },
    queue: {
      size: queue.size,
      timeout: formatDuration(queue.timeoutMs),
      whenDown: formatDuration(queue.whenDownMs),
    },
    timeouts: {
      connect: formatDuration(timeouts.connectMs),
      response: formatDuration(timeouts.responseMs),
      idle: formatDuration(timeouts.idleMs),
    },
    keepAlive: { max: keepAlive.max, idle: formatDuration(keepAlive.idleMs) },
    host: pool.host,
    limits: {
      ...pool.limits,
      responseHeadBytes: formatBytes(pool.limits.responseHeadBytes),
    },
    slowStart: formatDuration(pool.slowStartMs),
    holdUntilComplete: pool.holdUntilComplete,
    rebalance: {
      mode: rebalance.mode,
      start: rebalance.start,
      stop: rebalance.stop,
      budget: formatPercent(rebalance.budget),
      every: formatDuration(rebalance.everyMs),
    },
    servers: [...pool.servers.map(writableServer), ...pool.discovery.map(writableDiscovery)],
  };
}

/** Only the keys the mode reads, so that what is printed loads without a warning. */
function writableSticky(sticky: StickyConfig): object {
  const { mode, attributes } = sticky;
  const readsCookie =
    mode === 'cookie-hash' || mode === 'cookie-pin' || (mode === 'learn' && sticky.header === null);
  return {
    mode,
    ...(readsCookie ? { cookie: sticky.cookie, owner: sticky.cookieOwner } : {}),
    ...present('header', sticky.header),
    secret: hideAll(sticky.secrets),
    ...(mode === 'address-hash' ? { mask: sticky.mask } : {}),
    attributes: {
      httpOnly: attributes.httpOnly,
      secure: attributes.secure,
      sameSite: attributes.sameSite ?? 'off',
      path: attributes.path,
      ...present('domain', attributes.domain),
      ...present('maxAge', attributes.maxAgeMs === null ? null : formatDuration(attributes.maxAgeMs)),
      partitioned: attributes.partitioned,
    },
    idle: formatDuration(sticky.idleMs),
    life: formatDuration(sticky.lifeMs),
    bound: sticky.bound,
    whenDown: sticky.whenDown,
    ...present('moveRate', sticky.movesPerSecond === null ? null : formatRate(sticky.movesPerSecond)),
    failBack: sticky.failBack,
  };
}

function writableHealth(health: PoolConfig['health']): object | 'off' {
  if (health === null) return 'off';
  return {
    ...present('path', health.path),
    ...present('host', health.host),
    ...(Object.keys(health.headers).length === 0 ? {} : { headers: health.headers }),
    ...(health.path === null ? {} : { method: health.method }),
    ...(health.port === null ? {} : { port: health.port }),
    ...present('body', health.body),
    interval: formatDuration(health.intervalMs),
    timeout: formatDuration(health.timeoutMs),
    rise: health.rise,
    fall: health.fall,
    status: health.status.map(([from, to]) => (from === to ? from : `${from}-${to}`)),
  };
}

function writablePassive(passive: PoolConfig['passive']): object | 'off' {
  if (passive === null) return 'off';
  return {
    failures: passive.failures,
    window: formatDuration(passive.windowMs),
    eject: formatDuration(passive.ejectMs),
    maxEjected: formatPercent(passive.maxEjected),
    status: passive.status,
    clients: passive.clients,
    panic: formatPercent(passive.panic),
  };
}

function writableServer({ url, name, weight, maxConnections, backup, mode }: ServerConfig): object {
  return { url, name, weight, maxConnections, backup, mode };
}

function writableDiscovery(found: DiscoveryConfig): object {
  const { maxConnections } = found;
  const refresh = formatDuration(found.refreshMs);
  if (found.kind === 'file') return { file: { path: found.path, refresh }, maxConnections };
  const port = found.port === null ? {} : { port: found.port };
  return { dns: { name: found.name, ...port, type: found.type, refresh }, maxConnections };
}

function present(key: string, value: string | null): object {
  return value === null ? {} : { [key]: value };
}

function hideAll(secrets: readonly string[]): string | readonly string[] {
  return secrets.length > 1 ? secrets.map(hide) : hide(secrets[0] ?? '');
}

function hide(secret: string): string {
  return secret === '' ? '' : HIDDEN;
}

/** A literal `${` must not be taken for a substitution when the text is loaded again. */
function escapeSubstitutions(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', '$$$${');
  if (Array.isArray(value)) return value.map(escapeSubstitutions);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escapeSubstitutions(inner)]));
}
