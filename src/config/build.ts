// What was read to the model of the other rooms: what the table of keys cannot say of a single key is added, and all is
// frozen. print.ts takes it back.

import { tlsConfig } from './certificate-names.ts';
import { NO_PAGES } from './error-pages.ts';
import type {
  HealthConfig,
  HoldfastConfig,
  ListenConfig,
  PoolConfig,
  RouteConfig,
  StickyConfig,
} from './model.ts';
import type { Written, WrittenListener, WrittenPool, WrittenSticky } from './schema.ts';
import { discoveries, servers } from './servers.ts';
import { aliasesOf, cookieOf, ownerOf } from './sticky-checks.ts';

/** Permissions of the file of a unix socket. */
const SOCKET_MODE = '0660';
/** Before the number of a listener that has the address of another. */
const NTH = '#';

export function buildConfig(written: Written): HoldfastConfig {
  const { admin } = written;
  const poolCount = Object.keys(written.pools).length;
  const pools = Object.entries(written.pools).map(([name, pool]) => buildPool(name, pool, poolCount === 1));
  return deepFreeze({
    ...written,
    listen: withNames(written.listen.map((listener) => buildListener(listener, written))),
    admin: admin === null ? null : { host: admin.address.host, port: admin.address.port, token: admin.token },
    routes: buildRoutes(written, pools),
    pools,
    pages: NO_PAGES,
  });
}

function buildListener(listener: WrittenListener, { routes }: Written): ListenConfig {
  const { address: at, mode, ...rest } = listener;
  const { socketPath, ...address } = at;
  const socket =
    socketPath === null ? null : { path: socketPath, mode: Number.parseInt(mode ?? SOCKET_MODE, 8) };
  return { ...rest, ...address, socket, tls: tlsConfig(listener, routes) };
}

/** A listener is known by its address. Several may leave the port to the system, and are numbered then. */
function withNames(listeners: readonly ListenConfig[]): readonly ListenConfig[] {
  const seen = new Map<string, number>();
  return listeners.map((listener) => {
    const nth = (seen.get(listener.address) ?? 0) + 1;
    seen.set(listener.address, nth);
    return nth === 1 ? listener : { ...listener, address: `${listener.address}${NTH}${nth}` };
  });
}

/** As it was written. */
export function addressAsRead({ address, socket }: ListenConfig): string {
  return socket === null ? (address.split(NTH)[0] as string) : address;
}

function buildRoutes(written: Written, pools: readonly PoolConfig[]): readonly RouteConfig[] {
  if (written.routes === null)
    return pools.map(({ name }) => ({
      host: null,
      path: null,
      stripPrefix: false,
      pool: name,
      clientAuth: null,
      rateLimit: null,
    }));
  return written.routes.map((route) => ({ ...route, host: route.host?.toLowerCase() ?? null }));
}

function buildPool(name: string, pool: WrittenPool, isOnly: boolean): PoolConfig {
  return {
    ...pool,
    name,
    sticky: buildSticky(name, pool.sticky, isOnly),
    health: buildHealth(pool),
    queue: { ...pool.queue, whenDownMs: pool.queue.whenDownMs ?? pool.queue.timeoutMs },
    discovery: discoveries(pool.servers),
    servers: servers(pool.servers),
    secure: {
      isVerified: pool.tls.verify === 'on',
      serverName: pool.tls.serverName,
      groups: pool.tls.groups,
      ca: null,
      cert: null,
      key: null,
    },
    pages: NO_PAGES,
  };
}

function buildHealth({ health, host }: WrittenPool): HealthConfig | null {
  if (health === null) return null;
  // a TCP connect sends none
  const isAsked = health.path !== null || health.grpc !== null;
  const isNamed = host !== 'keep' && host !== 'server' && isAsked;
  const hostSent = health.host ?? (isNamed ? host : null);
  return { ...health, host: hostSent, headers: lowerCaseNames(health.headers) };
}

function buildSticky(pool: string, { owner, ...sticky }: WrittenSticky, isOnly: boolean): StickyConfig {
  const cookie = cookieOf(sticky, pool, isOnly);
  const cookieOwner = ownerOf({ ...sticky, owner }, pool);
  const readsHeader = sticky.from === null && (sticky.mode === 'header-hash' || sticky.mode === 'learn');
  return {
    ...sticky,
    cookie,
    cookieAliases: cookieOwner === 'balancer' ? aliasesOf(cookie, pool) : [],
    cookieOwner,
    header: readsHeader ? (sticky.header?.toLowerCase() ?? null) : null,
  };
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
