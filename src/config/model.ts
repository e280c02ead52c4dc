// The checked configuration as every other room sees it: frozen, complete, units in the names.
// Produced only by config/load.ts; nothing here is optional, null says "not configured".

export type PolicyName = 'round-robin' | 'least-connections' | 'random-two' | 'least-sessions' | 'least-time';
export type StickyMode = 'none' | 'cookie-hash' | 'cookie-pin' | 'learn' | 'header-hash' | 'address-hash';
export type SessionState = 'local' | 'shared';
export type HoldMode = 'off' | 'redirects' | 'set-cookie' | 'small';
export type ServerMode = 'ready' | 'drain' | 'maintenance';

export interface ListenConfig {
  /** Address as written, for messages and the `listener` metric label. */
  readonly address: string;
  /** '' where it is a unix socket. */
  readonly host: string;
  /** 0 lets the kernel choose; 0 where it is a unix socket. */
  readonly port: number;
  /** Unix socket, and the permissions of its file; null: it is host and port. */
  readonly socket: { readonly path: string; readonly mode: number } | null;
  readonly timeouts: {
    readonly headerMs: number;
    readonly bodyMs: number;
    readonly keepAliveMs: number;
    readonly tunnelMs: number;
  };
  readonly limits: {
    readonly headerBytes: number;
    readonly headerCount: number;
    /** 0 = no limit, as for the two below. */
    readonly bodyBytes: number;
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly requestsPerConnection: number;
    /** Bytes a second that a client must send or take; 0 = off. */
    readonly minRate: number;
  };
  /** For routes without one of their own, all together; null: no limit. */
  readonly rateLimit: RateLimitConfig | null;
  /** A client that ends its half after a whole request has gone, or is answered still. */
  readonly halfClose: 'abort' | 'answer';
}

export interface CookieAttributes {
  readonly httpOnly: boolean;
  /** auto: Secure when the client's connection is TLS, directly or as a trusted peer says. */
  readonly secure: boolean | 'auto';
  readonly sameSite: 'Lax' | 'Strict' | 'None' | null;
  readonly path: string;
  readonly domain: string | null;
  readonly maxAgeMs: number | null;
  readonly partitioned: boolean;
}

export interface StickyConfig {
  readonly mode: StickyMode;
  readonly cookie: string;
  /** Other names that the balancer's own cookie has when the default is another: still read. */
  readonly cookieAliases: readonly string[];
  /** Who sets `cookie`. The balancer mints values only for cookies of its own. */
  readonly cookieOwner: 'balancer' | 'application';
  /** Lower case; null when the mode reads no header. With learn exactly one is read: the header, or `cookie` when it is null. */
  readonly header: string | null;
  /** The first writes, all read. Empty: main makes one at start (and keeps it beside sessions.file when there is one). */
  readonly secrets: readonly string[];
  /** Leading bits of the address that are one client, for address-hash. */
  readonly mask: { readonly ipv4: number; readonly ipv6: number };
  readonly attributes: CookieAttributes;
  readonly idleMs: number;
  readonly lifeMs: number;
  /** Bounded load for keys the balancer did not mint; 0 = off, otherwise > 1. */
  readonly bound: number;
  readonly whenDown: 'move' | 'refuse';
  /** Sessions a second, all threads together, that may leave a home that is gone; null: no limit. */
  readonly movesPerSecond: number | null;
  /** What becomes of a session that a failure moved, when its home is up again. */
  readonly failBack: 'stay' | 'home' | 'home-when-idle';
}

export interface HealthConfig {
  /** null: a TCP connect is the whole check. */
  readonly path: string | null;
  /** null: the server's own. */
  readonly host: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly method: 'GET' | 'HEAD' | 'OPTIONS' | 'POST';
  /** null: the server's. */
  readonly port: number | null;
  /** Text that the reply must contain; null: none. */
  readonly body: string | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
  /** Inclusive ranges of accepted status codes. */
  readonly status: readonly (readonly [from: number, to: number])[];
}

export interface PassiveConfig {
  readonly failures: number;
  readonly windowMs: number;
  readonly ejectMs: number;
  /** 0..1 */
  readonly maxEjected: number;
  /** Statuses of the server that count as failures too. */
  readonly status: readonly number[];
  /** So many different clients must have met failures. */
  readonly clients: number;
  /** Ejections are ignored while a smaller share of the servers is in service, 0..1. */
  readonly panic: number;
}

/** Where a server is and how it is spoken to. */
export interface ServerAddress {
  /** Normalised, all of the below: http://host:port/path, or unix:/path. */
  readonly url: string;
  /** '' where `socketPath` leads there. */
  readonly host: string;
  /** 0 where `socketPath` leads there. */
  readonly port: number;
  /** Unix socket; null: it is over host and port. */
  readonly socketPath: string | null;
  /** Put before the path of each request, without a slash at its end; '': nothing. */
  readonly basePath: string;
}

export interface ServerConfig extends ServerAddress {
  readonly name: string;
  readonly weight: number;
  /** 0 = no limit. */
  readonly maxConnections: number;
  readonly backup: boolean;
  readonly mode: ServerMode;
}

/** Where servers are found while running. */
export type DiscoveryConfig = {
  /** For messages and the `source` label: `dns A shop.internal`, `file ./servers`. */
  readonly source: string;
  readonly refreshMs: number;
  readonly maxConnections: number;
} & (
  | {
      readonly kind: 'dns';
      readonly name: string;
      /** null with SRV, which names it. */
      readonly port: number | null;
      readonly type: 'A' | 'AAAA' | 'SRV';
    }
  | { readonly kind: 'file'; readonly path: string }
);

export interface PoolConfig {
  readonly name: string;
  readonly policy: PolicyName;
  readonly sticky: StickyConfig;
  readonly state: SessionState;
  /** null: health checks are off, servers count as up. */
  readonly health: HealthConfig | null;
  /** null: off. */
  readonly passive: PassiveConfig | null;
  readonly retry: {
    /** Attempts after the first. */
    readonly attempts: number;
    /** Share of requests that may be retries, 0..1. */
    readonly budget: number;
    /** Upstream statuses that are retried as well. */
    readonly status: readonly number[];
  };
  readonly queue: {
    readonly size: number;
    readonly timeoutMs: number;
    /** Longest wait for a server that is down. */
    readonly whenDownMs: number;
  };
  readonly timeouts: { readonly connectMs: number; readonly responseMs: number; readonly idleMs: number };
  readonly keepAlive: { readonly max: number; readonly idleMs: number };
  /** Host field sent to servers: `keep` (the client's), `server` (that of its URL), or the field itself. */
  readonly host: string;
  /** What a server may send beside its response. */
  readonly limits: { readonly responseHeadBytes: number; readonly interimResponses: number };
  readonly slowStartMs: number;
  /** Which responses are sent only once they are complete. */
  readonly holdUntilComplete: HoldMode;
  readonly rebalance: {
    readonly mode: 'off' | 'idle' | 'on';
    readonly start: number;
    readonly stop: number;
    /** Share of the pool's sessions that may move per cycle, 0..1. */
    readonly budget: number;
    readonly everyMs: number;
  };
  /** In a running revision with those that were found. */
  readonly servers: readonly ServerConfig[];
  readonly discovery: readonly DiscoveryConfig[];
}

/** What tells clients apart for a rate limit. Header and cookie names as written. */
export type RateLimitKey =
  | { readonly kind: 'address' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

export interface RateLimitConfig {
  readonly key: RateLimitKey;
  /** Requests a second, over all threads. */
  readonly perSecond: number;
  /** Requests at once after a pause, at least 1. */
  readonly burst: number;
}

export interface RouteConfig {
  /** Lower case; null = any host. `*.` at the front is the one wildcard. */
  readonly host: string | null;
  /** Prefix on segment boundaries; null = any path. */
  readonly path: string | null;
  /** Servers get the path without `path`. */
  readonly stripPrefix: boolean;
  readonly pool: string;
  /** null: no limit. */
  readonly rateLimit: RateLimitConfig | null;
}

export interface HoldfastConfig {
  /** null: one per core. */
  readonly threads: number | null;
  readonly listen: readonly ListenConfig[];
  /** null: no admin server. */
  readonly admin: { readonly host: string; readonly port: number; readonly token: string } | null;
  /** CIDR strings, checked. */
  readonly trusted: readonly string[];
  readonly accessLog: {
    readonly format: 'json';
    /** 0..1 */
    readonly sample: number;
    /** null: standard output. */
    readonly file: string | null;
  } | null;
  /** Requests without a traceparent get one. */
  readonly startsTraces: boolean;
  /** Our name in the Via field; null: no such field is added, and no loop is found. */
  readonly via: string | null;
  /** Clients are told what was wrong with a response. */
  readonly showsDetails: boolean;
  /** Name servers for discovery; empty: the system's. */
  readonly resolver: readonly string[];
  readonly shutdown: { readonly graceMs: number };
  readonly sessions: {
    readonly max: number;
    readonly file: string | null;
    /** New sessions per client address, minute and thread; 0 = no limit. */
    readonly saveEveryMs: number;
    readonly perAddress: number;
  };
  readonly routes: readonly RouteConfig[];
  readonly pools: readonly PoolConfig[];
}
