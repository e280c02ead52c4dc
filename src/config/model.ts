// The checked configuration as every other room sees it: frozen, complete, units in the names. Produced only by
// config/load.ts; nothing here is optional, null says "not configured". Most of it follows from the table of keys, where
// the meaning of each stands (schema.ts); what is written out here is what building adds to it.

import type { TlsSettings } from '../base/tls-client.ts';
import type { TlsConfig } from '../tls/options.ts';
import type { ServerAddress } from './address.ts';
import type { ErrorPages } from './error-pages.ts';
import type { WrittenAddress } from './leaf-address.ts';
import type {
  Written,
  WrittenDns,
  WrittenFile,
  WrittenHealth,
  WrittenListener,
  WrittenPassive,
  WrittenPool,
  WrittenRateLimit,
  WrittenRoute,
  WrittenServer,
  WrittenSticky,
} from './schema.ts';

export type { ServerAddress } from './address.ts';
export type { RateLimitKey } from './rate.ts';

export type PolicyName = WrittenPool['policy'];
export type StickyMode = WrittenSticky['mode'];
export type SessionState = WrittenPool['state'];
export type HoldMode = WrittenPool['holdUntilComplete'];
export type ServerMode = WrittenServer['mode'];

/**
 * `address` as written, for messages and the `listener` metric label; port 0 lets the kernel choose. Where it is a unix socket
 * the host is '' and the port 0.
 */
export interface ListenConfig extends WrittenAddress, Omit<WrittenListener, 'address' | 'mode' | 'tls'> {
  /** Unix socket, and the permissions of its file; null: it is host and port. */
  readonly socket: { readonly path: string; readonly mode: number } | null;
  readonly tls: TlsConfig | null;
}

export type CookieAttributes = WrittenSticky['attributes'];

export interface StickyConfig extends Omit<WrittenSticky, 'owner'> {
  readonly cookie: string;
  /** Other names that the balancer's own cookie has when the default is another: still read. */
  readonly cookieAliases: readonly string[];
  /** Who sets `cookie`. The balancer mints values only for cookies of its own. */
  readonly cookieOwner: 'balancer' | 'application';
  /** Lower case; null when the mode reads no header. With learn exactly one is read: the header, or `cookie` when it is null. */
  readonly header: string | null;
  /** The first writes, all read. Empty: main makes one at start (and keeps it beside sessions.file when there is one). */
  readonly secrets: readonly string[];
}

/** Names of headers in lower case. */
export interface HealthConfig extends WrittenHealth {}

export interface PassiveConfig extends WrittenPassive {}

export interface ServerConfig extends ServerAddress, Omit<WrittenServer, 'url' | 'name'> {
  readonly name: string;
}

/** Where servers are found while running. */
export type DiscoveryConfig = {
  /** For messages and the `source` label: `dns A shop.internal`, `file ./servers`. */
  readonly source: string;
  readonly maxConnections: number;
  readonly maxSessions: number;
} & (({ readonly kind: 'dns' } & WrittenDns['dns']) | ({ readonly kind: 'file' } & WrittenFile['file']));

export interface PoolConfig extends Omit<WrittenPool, 'sticky' | 'queue' | 'servers'> {
  readonly name: string;
  readonly sticky: StickyConfig;
  readonly queue: WrittenPool['queue'] & { readonly whenDownMs: number };
  /** In a running revision with those that were found. */
  readonly servers: readonly ServerConfig[];
  readonly discovery: readonly DiscoveryConfig[];
  /** How its https servers are spoken to: `tls`, with what its files hold (server-tls-files.ts). */
  readonly secure: TlsSettings;
  /** What the files of `errorPages` hold (named-files.ts). */
  readonly pages: ErrorPages;
}

export interface RateLimitConfig extends WrittenRateLimit {}

/** The host in lower case. */
export interface RouteConfig extends WrittenRoute {}

export interface HoldfastConfig extends Omit<Written, 'listen' | 'admin' | 'routes' | 'pools'> {
  readonly listen: readonly ListenConfig[];
  /** null: no admin server. */
  readonly admin: { readonly host: string; readonly port: number; readonly token: string } | null;
  readonly routes: readonly RouteConfig[];
  readonly pools: readonly PoolConfig[];
  /** What the files of `errorPages` hold (named-files.ts). */
  readonly pages: ErrorPages;
}
