// The effective configuration as YAML: every default filled in, secrets hidden. What it prints loads again. What
// build.ts has added to what was read is taken back; the rest follows from the table of keys.

import { stringify } from 'yaml';
import { formatHostPort } from './address.ts';
import { addressAsRead } from './build.ts';
import type {
  DiscoveryConfig,
  HealthConfig,
  HoldfastConfig,
  ListenConfig,
  PoolConfig,
  ServerConfig,
  StickyConfig,
} from './model.ts';
import { configSchema } from './schema.ts';
import { write } from './write.ts';

/** Secrets that are set are printed as `***`, unset ones as the empty text. */
export function printConfig(config: HoldfastConfig): string {
  const written = write(configSchema, asRead(config));
  return stringify(escapeSubstitutions(written), { lineWidth: 0, aliasDuplicateObjects: false });
}

function asRead(config: HoldfastConfig): object {
  const { admin } = config;
  return {
    ...config,
    listen: config.listen.map(listenerAsRead),
    admin: admin === null ? null : { address: { address: formatHostPort(admin) }, token: admin.token },
    pools: Object.fromEntries(config.pools.map((pool) => [pool.name, poolAsRead(pool)])),
  };
}

function listenerAsRead(listener: ListenConfig): object {
  const { address, host, port, socket, ...rest } = listener;
  const mode = socket === null ? null : socket.mode.toString(8).padStart(4, '0');
  return { ...rest, address: { address: addressAsRead(listener) }, mode };
}

function poolAsRead({ name, discovery, secure, pages, ...pool }: PoolConfig): object {
  return {
    ...pool,
    sticky: stickyAsRead(pool.sticky),
    health: pool.health === null ? null : healthAsRead(pool.health),
    servers: [...pool.servers.map(serverAsRead), ...discovery.map(discoveryAsRead)],
  };
}

/** Only the keys the mode reads, so that what is printed loads without a warning. */
function stickyAsRead({ cookieOwner, cookieAliases, ...sticky }: StickyConfig): object {
  const { mode, cookie, header, mask, from } = sticky;
  const readsCookie =
    mode === 'cookie-pin' ||
    (from === null && (mode === 'cookie-hash' || (mode === 'learn' && header === null)));
  return {
    ...sticky,
    cookie: readsCookie ? cookie : null,
    owner: readsCookie ? cookieOwner : null,
    mask: mode === 'address-hash' ? mask : undefined,
  };
}

function healthAsRead(health: HealthConfig): object {
  return {
    ...health,
    headers: Object.keys(health.headers).length === 0 ? undefined : health.headers,
    method: health.path === null ? undefined : health.method,
  };
}

function serverAsRead({ url, host, port, socketPath, basePath, isTls, ...rest }: ServerConfig): object {
  return { ...rest, url: { url } };
}

function discoveryAsRead({ kind, source, maxConnections, maxSessions, ...found }: DiscoveryConfig): object {
  return { [kind]: found, maxConnections, maxSessions };
}

/** A literal `${` must not be taken for a substitution when the text is loaded again. */
function escapeSubstitutions(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', '$$$${');
  if (Array.isArray(value)) return value.map(escapeSubstitutions);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escapeSubstitutions(inner)]));
}
