// What a configuration may be written as, for programs that embed a balancer.
// Generated from the table of keys (schema.ts) by "npm run docs". Do not edit.

/** A value from the environment, as in `'${PORT}'`: it may stand in the place of every single value. */
export type Substitution = `${string}\${${string}`;

/** The whole configuration; the keys are those of a file. */
export interface BalancerConfig {
  /** data-plane threads: a number, or `auto` = one per core. Default: `auto`. */
  readonly threads?: number | 'auto' | Substitution | undefined;
  /** where clients connect: one listener or a list; a plain address is short for `{ address: … }`. */
  readonly listen?: readonly (BalancerListener | string)[] | BalancerListener | string | undefined;
  /** the admin server; `off` to have none. */
  readonly admin?: {
    /** where dashboard, API, /metrics, /healthz and /readyz are served. Default: `127.0.0.1:9090`. */
    readonly address?: string | undefined;
    /** bearer token, needed for changes when set; required when the address is not loopback. */
    readonly token?: string | undefined;
  } | 'off' | Substitution | undefined;
  /** peers whose forwarding headers (X-Forwarded-For and so on) are believed: addresses or CIDRs. */
  readonly trusted?: readonly string[] | undefined;
  /** a line per request; `json` for short. Default: `off`. */
  readonly accessLog?: {
    /** one JSON object per line. Default: `json`. */
    readonly format?: 'json' | Substitution | undefined;
    /** share of requests that are logged: 1 = all, 0.01 = one in a hundred. Default: `1`. */
    readonly sample?: number | Substitution | undefined;
    /** where lines are appended; opened anew at each reload, so that it can be rotated; absent: standard output. */
    readonly file?: string | undefined;
  } | 'off' | 'json' | Substitution | undefined;
  /** `on`: a request without a W3C `traceparent` gets one, so that servers and access log share a trace id; one that came is passed on untouched in any case. Default: `off`. */
  readonly traceparent?: 'off' | 'on' | Substitution | undefined;
  /** our name in the Via field of requests, by which a request that goes round is found and answered 508; `off` adds none and finds none. Default: `holdfast`. */
  readonly via?: string | undefined;
  /** `on`: the reply to a response that is not valid HTTP says to the client what was wrong with it; log and access log always do. Default: `off`. */
  readonly errorDetails?: 'off' | 'on' | Substitution | undefined;
  /** your own pages for what the balancer answers itself: a file for a status or for `4xx` and `5xx`, of up to 64KiB, read at the start and at each reload. `.html` for browsers, `.json` and `.txt` for who asks for those; a list for several. `{{status}}`, `{{reason}}`, `{{error}}` and `{{requestId}}` in it are filled in. */
  readonly errorPages?: Readonly<Record<string, readonly string[] | string>> | undefined;
  /** name servers for `dns` in servers, as `127.0.0.1` or `127.0.0.1:5353`; none: names are found as the system finds them. */
  readonly resolver?: readonly string[] | undefined;
  /** the end of the process. */
  readonly shutdown?: {
    /** how long requests and WebSockets in flight may take when the balancer stops or is replaced; then they are closed. Default: `30s`. */
    readonly grace?: string | number | undefined;
  } | undefined;
  /** the session table. */
  readonly sessions?: {
    /** most sessions remembered at once; when full, idle ones make room. Default: `1000000`. */
    readonly max?: number | Substitution | undefined;
    /** kept here while running, restored at the start, after a crash too; no two processes may have the same. Absent: sessions are not kept over a restart. */
    readonly file?: string | undefined;
    /** how long after a save of `file` what has changed since is saved: what a crash may lose. Default: `5s`. */
    readonly saveEvery?: string | number | undefined;
    /** most new sessions per client address, minute and thread; requests beyond it are served without a session; 0 = no limit. Default: `0`. */
    readonly perAddress?: number | Substitution | undefined;
  } | undefined;
  /** which pool serves what, first match wins; optional when there is one pool. */
  readonly routes?: readonly BalancerRoute[] | undefined;
  /** groups of servers, by name. */
  readonly pools: Readonly<Record<string, BalancerPool>>;
}

/** One listener. */
export interface BalancerListener {
  /** `host:port`, `[::1]:8080`, or `:8080` for every IPv4 address; port 0 lets the system choose. Or a unix socket, `unix:/run/holdfast.sock`: who connects there counts as 127.0.0.1. Default: `0.0.0.0:8080`. */
  readonly address?: string | undefined;
  /** permissions of the file of a unix socket; absent: `"0660"`, its owner and group. */
  readonly mode?: string | undefined;
  /** how long a client may take. */
  readonly timeouts?: {
    /** the whole request head must arrive within this time. Default: `10s`. */
    readonly header?: string | number | undefined;
    /** longest silence while a request body is expected. Default: `30s`. */
    readonly body?: string | number | undefined;
    /** idle time between two requests of one connection; 0 closes after each. Default: `75s`. */
    readonly keepAlive?: string | number | undefined;
    /** longest silence in a WebSocket. Default: `1h`. */
    readonly tunnel?: string | number | undefined;
  } | undefined;
  /** how much a client may send. */
  readonly limits?: {
    /** largest request head, request line included. Default: `32KiB`. */
    readonly headerBytes?: string | number | undefined;
    /** most header fields of a request. Default: `100`. */
    readonly headerCount?: number | Substitution | undefined;
    /** largest request body; 0 = no limit. Default: `0`. */
    readonly bodyBytes?: string | number | undefined;
    /** most client connections at once; 0 = no limit. Default: `10000`. */
    readonly connections?: number | Substitution | undefined;
    /** most connections of one client address at once, over all threads; 0 = no limit. Default: `0`. */
    readonly connectionsPerAddress?: number | Substitution | undefined;
    /** requests after which a client connection is closed; 0 = no limit. Default: `0`. */
    readonly requestsPerConnection?: number | Substitution | undefined;
    /** bytes a second that a client must send while a request is expected of it, and take while a response waits, averaged over 5 s after 5 s of grace; slower ones are cut. 0 = off. Default: `0`. */
    readonly minRate?: string | number | undefined;
  } | undefined;
  /** for requests by routes without one of their own; absent: none. */
  readonly rateLimit?: BalancerRateLimit | undefined;
  /** PROXY header, version 1 or 2, that says whose connection it is: the client is then the one it names, in affinity, limits, logs and forwarding. It is taken from peers in `trusted` only; connections that are refused are closed without a reply. `optional`: others may connect without. Default: `off`. */
  readonly proxyProtocol?: 'off' | 'optional' | 'required' | Substitution | undefined;
  /** a client that ends its half of the connection after a whole request: `abort` takes it for gone, as browsers that are closed look just the same, and ends the request; `answer` answers it, and those behind it. After a request that says so in its Connection field it is answered in any case. Default: `abort`. */
  readonly halfClose?: 'abort' | 'answer' | Substitution | undefined;
  /** how the listener speaks TLS; absent: in the clear. */
  readonly tls?: BalancerTls | undefined;
  /** `true`: HTTP/2 in the clear as well, for clients that begin with it (prior knowledge); over TLS it is agreed by ALPN. Default: `false`. */
  readonly h2c?: boolean | Substitution | undefined;
  /** limits of HTTP/2, for each connection. */
  readonly http2?: {
    /** most requests of a connection at once. Default: `100`. */
    readonly streams?: number | Substitution | undefined;
    /** most of a request body that may wait for its server; a stream begins with less, and gets more while its server takes it. Default: `1MiB`. */
    readonly window?: string | number | undefined;
    /** the same of all requests of a connection together: what a client can make the balancer keep for it. Default: `16MiB`. */
    readonly connectionWindow?: string | number | undefined;
    /** most header fields of a request, decoded, each counted with 32 bytes more; `limits.headerBytes` and `limits.headerCount` hold as well. Default: `32KiB`. */
    readonly headerBytes?: string | number | undefined;
    /** most requests that a client may take back, or make the balancer break off by what it sends; beyond it the connection ends: of those taken back it takes no more requests first, and ends with once more as many. Default: `200/10s`. */
    readonly resets?: string | undefined;
    /** most frames that carry nothing (SETTINGS, PING, PRIORITY, empty DATA, WINDOW_UPDATE that no data has earned); beyond it the connection ends. Default: `1000/1s`. */
    readonly frames?: string | undefined;
  } | undefined;
  /** `true`: every request to this listener in the clear is answered 308, to the same URL over https, at the port of the first listener with `tls`. Default: `false`. */
  readonly redirectToHttps?: boolean | Substitution | undefined;
  /** for `redirectToHttps`: the port that clients reach https at, where it is not that of the listener, as behind a load balancer or published by a container. */
  readonly redirectPort?: number | Substitution | undefined;
}

/** One rate limit. */
export interface BalancerRateLimit {
  /** what tells clients apart: `address`, `header NAME` or `cookie NAME`; a request without that header or cookie counts under its address. Default: `address`. */
  readonly key?: string | undefined;
  /** requests of one client over a longer time, all threads together. */
  readonly rate: string;
  /** requests that may come at once after a pause. Default: `1`. */
  readonly burst?: number | Substitution | undefined;
}

/** One tls. */
export interface BalancerTls {
  /** the first is for clients that ask for no name we know; the others are chosen by name (SNI), exact before wildcard, one for each kind of key. A plain path is short for `{ folder: … }`. Changed files are used from the next connection on. */
  readonly certificates?: readonly (BalancerCertificate | {
    /** all pairs in a folder: `NAME.pem` (or `.crt`, `.cer`) with `NAME.key`, and folders with `fullchain.pem` and `privkey.pem`; in the order of their names, but `default` first. */
    readonly folder: string;
  } | string)[] | BalancerCertificate | {
    /** all pairs in a folder: `NAME.pem` (or `.crt`, `.cer`) with `NAME.key`, and folders with `fullchain.pem` and `privkey.pem`; in the order of their names, but `default` first. */
    readonly folder: string;
  } | string | undefined;
  /** `true`: a certificate for localhost that signs itself, made at start, for development; instead of `certificates`. Default: `false`. */
  readonly selfSigned?: boolean | Substitution | undefined;
  /** certificates that are ordered and renewed by themselves (RFC 8555), for names that `certificates` are not for. */
  readonly acme?: BalancerAcme | undefined;
  /** oldest version of TLS; absent: 1.2, with `ciphers: modern` 1.3. */
  readonly minVersion?: '1.2' | '1.3' | Substitution | undefined;
  /** Mozilla's profiles: `intermediate` for all clients of the last ten years, `modern` for TLS 1.3 alone. Default: `intermediate`. */
  readonly ciphers?: 'intermediate' | 'modern' | Substitution | undefined;
  /** groups of the key exchange, the preferred first, such as `[X25519MLKEM768, X25519, P-256]`; a client that has sent a key for some of them gets the first of those. Also called curves; absent: `X25519MLKEM768`, `X25519`, `P-256` and `P-384`, in the order of the client. */
  readonly groups?: readonly ('X25519MLKEM768' | 'SecP256r1MLKEM768' | 'SecP384r1MLKEM1024' | 'X25519' | 'X448' | 'P-256' | 'secp256r1' | 'prime256v1' | 'CurveP256' | 'P-384' | 'secp384r1' | 'CurveP384' | 'P-521' | 'secp521r1' | 'CurveP521' | Substitution)[] | 'X25519MLKEM768' | 'SecP256r1MLKEM768' | 'SecP384r1MLKEM1024' | 'X25519' | 'X448' | 'P-256' | 'secp256r1' | 'prime256v1' | 'CurveP256' | 'P-384' | 'secp384r1' | 'CurveP384' | 'P-521' | 'secp521r1' | 'CurveP521' | Substitution | undefined;
  /** protocols that a client may choose, the preferred first; `h2` is HTTP/2. */
  readonly alpn?: readonly ('h2' | 'http/1.1' | Substitution)[] | undefined;
  /** certificates of clients: not asked for; asked for, and servers are told what came of it; without a good one there is no connection. Default: `none`. */
  readonly clientAuth?: 'none' | 'request' | 'require' | Substitution | undefined;
  /** PEM file: authorities of client certificates. */
  readonly ca?: string | undefined;
  /** PEM file: revocation lists of these authorities, one for each. */
  readonly crl?: string | undefined;
  /** the handshake must be over within this time. Default: `5s`. */
  readonly handshakeTimeout?: string | number | undefined;
  /** most handshakes under way at once on one thread; beyond it who has said nothing goes first. Default: `4000`. */
  readonly handshakesMax?: number | Substitution | undefined;
  /** new handshakes of one client address over a longer time, all threads together; those of a second may come at once. Default: `off`. */
  readonly handshakeRate?: string | undefined;
  /** Strict-Transport-Security: browsers use https alone from now on. Goes out with every response of a server, instead of its own. Default: `off`. */
  readonly hsts?: {
    /** how long browsers remember. Default: `365d`. */
    readonly maxAge?: string | number | undefined;
    /** for all names below this one too. Default: `false`. */
    readonly includeSubDomains?: boolean | Substitution | undefined;
    /** the operator agrees to be in the list that comes with browsers. Default: `false`. */
    readonly preload?: boolean | Substitution | undefined;
  } | 'off' | Substitution | undefined;
}

/** One certificate. */
export interface BalancerCertificate {
  /** PEM file: the certificate, then those that lead to its authority. */
  readonly cert: string;
  /** PEM file: its private key, which nobody else may read. */
  readonly key: string;
  /** PEM file: the certificates that lead to the authority, where `cert` holds its own alone. */
  readonly chain?: string | undefined;
  /** opens an encrypted key; from the environment, rather than written here. */
  readonly passphrase?: string | undefined;
}

/** One acme. */
export interface BalancerAcme {
  /** where the authority writes when something is wrong with a certificate. */
  readonly email: string;
  /** names that clients use, each with a certificate of its own; absent: the hosts of routes, but for those with a wildcard. */
  readonly names?: readonly string[] | string | undefined;
  /** the authority: the address of its directory. With it you agree to its terms of service. Default: `https://acme-v02.api.letsencrypt.org/directory`. */
  readonly directory?: string | undefined;
  /** how it is shown that the names lead here: `http-01`, the authority connects to port 80 of each name, and a listener in the clear must answer there; `tls-alpn-01`, to port 443, and this listener must. Default: `http-01`. */
  readonly challenge?: 'http-01' | 'tls-alpn-01' | Substitution | undefined;
  /** folder for account, keys and certificates, made where there is none; must outlive the process. Processes of one machine may share it. Default: `./acme`. */
  readonly storage?: string | undefined;
  /** PEM file: authorities of the directory's own certificate; absent: those that Node comes with. */
  readonly ca?: string | undefined;
}

/** One route. */
export interface BalancerRoute {
  /** exact name or one leading wildcard (`*.example.com`); port ignored, case-insensitive; absent: any host. */
  readonly host?: string | undefined;
  /** prefix on segment boundaries: `/api` matches `/api` and `/api/x`, not `/apix`; absent: any path. */
  readonly path?: string | undefined;
  /** servers get the path without `path`, which they are told in X-Forwarded-Prefix; what they answer (Location, cookie paths) is passed on as it is. Default: `false`. */
  readonly stripPrefix?: boolean | Substitution | undefined;
  /** name of the pool that serves what matches. */
  readonly pool: string;
  /** `require`: who has shown no good certificate on its connection is answered 403, whatever listener it came by (421 on one that was opened for another name); needs one with `clientAuth`. */
  readonly clientAuth?: 'require' | Substitution | undefined;
  /** requests that one client may make; absent: no limit. */
  readonly rateLimit?: BalancerRateLimit | undefined;
}

/** One pool. */
export interface BalancerPool {
  /** how a server is chosen for a request without a home. Default: `round-robin`. */
  readonly policy?: 'round-robin' | 'least-connections' | 'random-two' | 'least-sessions' | 'least-time' | Substitution | undefined;
  /** session affinity; `none` for short. */
  readonly sticky?: {
    /** `cookie-hash`: hash of a cookie, every balancer agrees without shared state. `cookie-pin`: the cookie names the home, sealed. `learn`: the application's cookie or header, remembered in the session table. `header-hash`, `address-hash`: hash of a header or of the client's address. `none`: no affinity. Default: `none`. */
    readonly mode?: 'none' | 'cookie-hash' | 'cookie-pin' | 'learn' | 'header-hash' | 'address-hash' | Substitution | undefined;
    /** the balancer's own cookie, or the application's (for `cookie-hash` and `learn`); default `holdfast` where the mode needs one, `holdfast-POOL` where there are several pools. */
    readonly cookie?: string | undefined;
    /** who sets the cookie. `cookie-pin`: always the balancer. `learn`: always the application. `cookie-hash`: absent means the balancer when the cookie is called `holdfast` or has no name here, ends in `-holdfast` or begins with `__Host-holdfast`, else the application. */
    readonly owner?: 'balancer' | 'application' | Substitution | undefined;
    /** for `header-hash`, and for `learn` instead of a cookie. */
    readonly header?: string | undefined;
    /** where the application names its sessions, in order, for `learn`, `header-hash` and `cookie-hash` in place of `cookie` and `header`: the first place that a request has a value in counts; what answers set in cookies and headers is learned. */
    readonly from?: readonly ({
      /** a cookie of the application; with `*` at the end every cookie whose name begins like it, such as `ASPSESSIONID*`. */
      readonly cookie?: string | undefined;
      /** a header of requests, and of the answers that set it. */
      readonly header?: string | undefined;
      /** a parameter of the query. */
      readonly query?: string | undefined;
      /** a parameter of a path segment, such as `jsessionid` in `/buy;jsessionid=…`. */
      readonly 'path-parameter'?: string | undefined;
      /** a segment of the path: the one at the last `*` of a pattern such as `/rooms/*` (another `*` is any segment). */
      readonly path?: string | undefined;
    })[] | undefined;
    /** cookies of the balancer that was here before: the server that one names becomes the home of a client that shows no session of ours, so that nobody is logged out by the change. */
    readonly adopt?: readonly ({
      /** cookie of the balancer that was here before, such as `SERVERID` of HAProxy. */
      readonly cookie: string;
      /** what its values call the servers of this pool: `{ s1: a, s2: b }`; absent: as they are called here. */
      readonly servers?: Readonly<Record<string, string>> | undefined;
      /** `~` for HAProxy's `prefix` mode, where the cookie is the application's with the server before it (`io=s1~…`): the prefix is taken away. */
      readonly separator?: string | undefined;
    })[] | undefined;
    /** keys cookies and session keys; give the same to every balancer of the pool. A list rotates them: the first writes, all are read, so `[new, old]` until `life` has passed. When empty one is made, and kept beside `sessions.file` if there is one. */
    readonly secret?: string | readonly string[] | undefined;
    /** for `address-hash`: what counts as one client. */
    readonly mask?: {
      /** leading bits of an IPv4 address. Default: `32`. */
      readonly ipv4?: number | Substitution | undefined;
      /** leading bits of an IPv6 address; 64 is the network of one customer. Default: `64`. */
      readonly ipv6?: number | Substitution | undefined;
    } | undefined;
    /** attributes of the balancer's own cookie. */
    readonly attributes?: {
      /** keep the cookie from scripts. Default: `true`. */
      readonly httpOnly?: boolean | Substitution | undefined;
      /** `auto`: Secure when the client came over TLS, directly or as a trusted peer says. Default: `auto`. */
      readonly secure?: true | false | 'auto' | Substitution | undefined;
      /** `off` leaves the attribute out; `None` needs `secure: true`. Default: `Lax`. */
      readonly sameSite?: 'Lax' | 'Strict' | 'None' | 'off' | Substitution | undefined;
      /** the part of the site that sees the cookie. Default: `/`. */
      readonly path?: string | undefined;
      /** share the cookie with sub-domains; absent: this host only. */
      readonly domain?: string | undefined;
      /** keep the cookie this long; absent: until the browser closes. */
      readonly maxAge?: string | number | undefined;
      /** a separate cookie per top-level site (CHIPS); needs `secure: true`. Default: `false`. */
      readonly partitioned?: boolean | Substitution | undefined;
    } | undefined;
    /** a session not seen for so long has ended. Default: `30m`. */
    readonly idle?: string | number | undefined;
    /** a session lives at most so long. Default: `24h`. */
    readonly life?: string | number | undefined;
    /** bounded load for keys not made by the balancer; a number for short: `1.25` = no server above 1.25 × its fair share of sessions. */
    readonly bound?: {
      /** `sessions`: a new session whose server would have too many begins at the next by its key. `requests`: a request whose server would have too many in flight is served by the next by its key, this once, and counts as `overflow`; needs `state: shared`. Default: `sessions`. */
      readonly by?: 'sessions' | 'requests' | Substitution | undefined;
      /** 1.25 = no server above 1.25 × its fair share, by weight, of the sessions or of the requests in flight; 0 = off. Default: `0`. */
      readonly factor?: number | Substitution | undefined;
    } | number | Substitution | undefined;
    /** a request whose home is down: `move` it to another server or `refuse` it with 503. Default: `move`. */
    readonly whenDown?: 'move' | 'refuse' | Substitution | undefined;
    /** a request of a session that is lost with its home (`state: local`): `move` it to another server, which does not know it, or, where the application names its sessions (`learn`), answer `404`, so that its client begins another (MCP). Default: `move`. */
    readonly whenLost?: 'move' | 404 | Substitution | undefined;
    /** at most so many sessions a second get another home because theirs is down, in maintenance or removed (`50/s`), so that those of a full server do not come down on the others at once; the rest is answered 503 with Retry-After until its turn. Absent: no limit. */
    readonly moveRate?: string | undefined;
    /** a session that a failure moved, when its home is up again: `stay` where it is, go `home`, or `home-when-idle` for some seconds; within `rebalance.budget` per cycle, counted as moves with reason rebalance. Needs `state: shared`. Default: `stay`. */
    readonly failBack?: 'stay' | 'home' | 'home-when-idle' | Substitution | undefined;
  } | 'none' | Substitution | undefined;
  /** where the application keeps session state. `local`: in the server's own memory, a session is never moved while its home lives. `shared`: any server can serve any session. Default: `local`. */
  readonly state?: 'local' | 'shared' | Substitution | undefined;
  /** active checks; `off`: servers count as up. */
  readonly health?: {
    /** path of the request, as it is whatever path the server URL has; absent: a TCP connect is the whole check. */
    readonly path?: string | undefined;
    /** service that is asked for by the health protocol of gRPC (`grpc.health.v1`), instead of a path; `""`: the server as a whole. Needs `protocol: h2` or `auto`. */
    readonly grpc?: string | undefined;
    /** Host field of the request, for applications that answer to their own name only; absent: the server. */
    readonly host?: string | undefined;
    /** further header fields of the request, by name. */
    readonly headers?: Readonly<Record<string, string>> | undefined;
    /** method of the request. Default: `GET`. */
    readonly method?: 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | Substitution | undefined;
    /** port that is checked; absent: that of the server. */
    readonly port?: number | Substitution | undefined;
    /** text that the reply must contain within its first 64KiB; absent: any body will do. */
    readonly body?: string | undefined;
    /** time between two checks of a server. Default: `2s`. */
    readonly interval?: string | number | undefined;
    /** a check without an answer in this time has failed. Default: `1s`. */
    readonly timeout?: string | number | undefined;
    /** good checks in a row until a server is up. Default: `2`. */
    readonly rise?: number | Substitution | undefined;
    /** failed checks in a row until a server is down. Default: `3`. */
    readonly fall?: number | Substitution | undefined;
    /** status codes of a good check: `200-399`, `204` or `[200, 301-303]`. Default: `200-399`. */
    readonly status?: string | number | readonly (string | number)[] | undefined;
  } | 'off' | Substitution | undefined;
  /** ejects a server that fails requests; `off` to switch off. */
  readonly passive?: {
    /** failed requests within the window until a server is ejected, if they are 30% of its requests: not reached, no answer in time, or none that is whole and valid. Default: `5`. */
    readonly failures?: number | Substitution | undefined;
    /** time over which failures are counted. Default: `10s`. */
    readonly window?: string | number | undefined;
    /** how long an ejected server gets no new sessions; each further ejection takes as much longer. With `state: local` those that it has stay. Default: `30s`. */
    readonly eject?: string | number | undefined;
    /** share of the pool that may be ejected at once. Default: `50%`. */
    readonly maxEjected?: string | number | undefined;
    /** statuses of the server that count as failures as well, such as `[502, 503, 504]`. */
    readonly status?: readonly (number | Substitution)[] | undefined;
    /** so many different client addresses must have met the failures, so that one client ejects nobody; 1 where all clients come through one address. Default: `3`. */
    readonly clients?: number | Substitution | undefined;
    /** with a smaller share of the pool in service, ejections are ignored; 0 = never. Default: `50%`. */
    readonly panic?: string | number | undefined;
  } | 'off' | Substitution | undefined;
  /** another attempt when nothing reached the client yet. */
  readonly retry?: {
    /** attempts after the first; 0 = no retries. Default: `2`. */
    readonly attempts?: number | Substitution | undefined;
    /** share of requests that may be retries. Default: `20%`. */
    readonly budget?: string | number | undefined;
    /** statuses of the server that are retried as well, such as `[502, 503]`. */
    readonly status?: readonly (number | Substitution)[] | undefined;
  } | undefined;
  /** used when every eligible server is at maxConnections, or when there is none. */
  readonly queue?: {
    /** most waiting requests; 0 = refuse at once. Default: `1000`. */
    readonly size?: number | Substitution | undefined;
    /** longest wait. Default: `5s`. */
    readonly timeout?: string | number | undefined;
    /** longest wait when nobody is eligible, or only the home may serve the request and it is away, as in a restart; `0s` to fail at once. Absent: as `timeout`. */
    readonly whenDown?: string | number | undefined;
  } | undefined;
  /** how long a server may take. */
  readonly timeouts?: {
    /** until the connection to a server stands. Default: `2s`. */
    readonly connect?: string | number | undefined;
    /** from the request sent to the first byte of the response. Default: `60s`. */
    readonly response?: string | number | undefined;
    /** longest silence within a response. Default: `60s`. */
    readonly idle?: string | number | undefined;
  } | undefined;
  /** idle connections to servers. */
  readonly keepAlive?: {
    /** idle connections kept per server and thread; 0 = none, `auto` = as many as were in use at once within `idle`. Default: `auto`. */
    readonly max?: number | 'auto' | Substitution | undefined;
    /** how long an idle connection is kept: the newest is taken first, so that those too many grow old. Default: `60s`. */
    readonly idle?: string | number | undefined;
  } | undefined;
  /** what servers are spoken to in. `h2`: HTTP/2, with an `https://` URL as the handshake agrees (ALPN), with `http://` without asking. `auto`: with `https://` what the server prefers of both, with `http://` HTTP/1. WebSockets go over HTTP/1 connections of their own. Default: `h1`. */
  readonly protocol?: 'h1' | 'h2' | 'auto' | Substitution | undefined;
  /** how servers with an `https://` URL are spoken to, checks included. */
  readonly tls?: {
    /** whether the certificate must be for the name of the server, current, and of a known authority. `off`: whoever is on the way can be the server, and read and change everything. Default: `on`. */
    readonly verify?: 'on' | 'off' | Substitution | undefined;
    /** file in PEM form with the authorities that are known, instead of those that Node.js comes with. */
    readonly ca?: string | undefined;
    /** name to ask for and to find in the certificate; absent: the host of the URL. */
    readonly serverName?: string | undefined;
    /** groups of the key exchange (curves) that are offered, the preferred first; absent: those of Node. For a server, or a box before it, that cannot read a first message of two packets: leave hybrids out, `[X25519, P-256]`. */
    readonly groups?: readonly ('X25519MLKEM768' | 'SecP256r1MLKEM768' | 'SecP384r1MLKEM1024' | 'X25519' | 'X448' | 'P-256' | 'secp256r1' | 'prime256v1' | 'CurveP256' | 'P-384' | 'secp384r1' | 'CurveP384' | 'P-521' | 'secp521r1' | 'CurveP521' | Substitution)[] | 'X25519MLKEM768' | 'SecP256r1MLKEM768' | 'SecP384r1MLKEM1024' | 'X25519' | 'X448' | 'P-256' | 'secp256r1' | 'prime256v1' | 'CurveP256' | 'P-384' | 'secp384r1' | 'CurveP384' | 'P-521' | 'secp521r1' | 'CurveP521' | Substitution | undefined;
    /** file in PEM form: certificate to show to servers, and its chain. */
    readonly cert?: string | undefined;
    /** file in PEM form: the key of `cert`, which nobody else may read. */
    readonly key?: string | undefined;
    /** opens an encrypted key; from the environment, rather than written here. */
    readonly passphrase?: string | undefined;
  } | undefined;
  /** PROXY header that connections to the servers begin with, checks included. Each is then used for requests of one client connection only. Default: `off`. */
  readonly sendProxyProtocol?: 'off' | 'v1' | 'v2' | Substitution | undefined;
  /** Host field sent to the servers: `keep` the client's, `server` the one in the server's URL (`localhost` for a unix socket), or the name that is written here; health checks send that too. The client's is in X-Forwarded-Host. Default: `keep`. */
  readonly host?: string | undefined;
  /** how much a server may send. */
  readonly limits?: {
    /** largest response head, status line included, and largest trailers of a server of HTTP/2; a larger head is answered 502. Default: `64KiB`. */
    readonly responseHeadBytes?: string | number | undefined;
    /** most interim responses (100, 102, 103) to one request; one more and it is answered 502. Default: `16`. */
    readonly interimResponses?: number | Substitution | undefined;
  } | undefined;
  /** as `errorPages` of all, for this pool, before those. */
  readonly errorPages?: Readonly<Record<string, readonly string[] | string>> | undefined;
  /** a server that comes up grows to its full weight over this time. Default: `0s`. */
  readonly slowStart?: string | number | undefined;
  /** holds responses of at most 64KiB back until they are complete, so that nobody acts on a reply whose session is still being saved: redirects; those and replies that set a cookie; those and all of known length. Default: `off`. */
  readonly holdUntilComplete?: 'off' | 'redirects' | 'set-cookie' | 'small' | Substitution | undefined;
  /** moves sessions from crowded servers. */
  readonly rebalance?: {
    /** `on`: move sessions when servers are uneven. `idle`: only sessions that are idle at the moment. Needs `state: shared`. Default: `off`. */
    readonly mode?: 'off' | 'idle' | 'on' | Substitution | undefined;
    /** begin when the skew ratio is above this. Default: `1.25`. */
    readonly start?: number | Substitution | undefined;
    /** end when the skew ratio is below this. Default: `1.08`. */
    readonly stop?: number | Substitution | undefined;
    /** share of the pool's sessions that may move per cycle. Default: `2%`. */
    readonly budget?: string | number | undefined;
    /** time between two cycles. Default: `10s`. */
    readonly every?: string | number | undefined;
  } | undefined;
  /** the servers; a plain URL is short for `{ url: … }`; `{ dns: … }` and `{ file: … }` stand for all that are found there. */
  readonly servers: readonly (BalancerServer | string | BalancerDnsServers | BalancerFileServers)[];
}

/** One server. */
export interface BalancerServer {
  /** `http://host` or `http://host:port`, port 80 when absent, or `https:` alike, port 443; with a path, which is put before that of each request. Or a unix socket, `unix:/run/app.sock`. */
  readonly url: string;
  /** for metrics, commands and pages; default host:port, or the file name of a unix socket. */
  readonly name?: string | undefined;
  /** share of the load relative to the others; 0 takes no new sessions. Default: `1`. */
  readonly weight?: number | Substitution | undefined;
  /** most requests in flight; 0 = no limit. Default: `0`. */
  readonly maxConnections?: number | Substitution | undefined;
  /** most sessions, `1` for a server that serves one user at a time: a full server takes no new session, and when all are full who begins one waits in `queue`. 0 = no limit. Default: `0`. */
  readonly maxSessions?: number | Substitution | undefined;
  /** gets requests only when no other server can. Default: `false`. */
  readonly backup?: boolean | Substitution | undefined;
  /** `drain`: no new sessions. `maintenance`: no requests and no health checks. Default: `ready`. */
  readonly mode?: 'ready' | 'drain' | 'maintenance' | Substitution | undefined;
}

/** One dns servers. */
export interface BalancerDnsServers {
  /** a server for each address of a DNS name; a lookup that fails or finds none changes nothing. */
  readonly dns: {
    /** name to look up. */
    readonly name: string;
    /** port of the servers; needed unless the type is SRV. */
    readonly port?: number | Substitution | undefined;
    /** `SRV` names port, weight and priority too: servers of a lower priority are backups. Default: `A`. */
    readonly type?: 'A' | 'AAAA' | 'SRV' | Substitution | undefined;
    /** time between two lookups, give or take a tenth. Default: `10s`. */
    readonly refresh?: string | number | undefined;
  };
  /** most requests in flight to each server that is found; 0 = no limit. Default: `0`. */
  readonly maxConnections?: number | Substitution | undefined;
  /** most sessions of each server that is found; 0 = no limit. Default: `0`. */
  readonly maxSessions?: number | Substitution | undefined;
}

/** One file servers. */
export interface BalancerFileServers {
  /** a server for each URL in a file; a file that is missing, empty or wrong changes nothing. */
  readonly file: {
    /** a URL per line, or a YAML list of URLs; `#` begins a comment. */
    readonly path: string;
    /** time between two looks at the file. Default: `2s`. */
    readonly refresh?: string | number | undefined;
  };
  /** most requests in flight to each server that is found; 0 = no limit. Default: `0`. */
  readonly maxConnections?: number | Substitution | undefined;
  /** most sessions of each server that is found; 0 = no limit. Default: `0`. */
  readonly maxSessions?: number | Substitution | undefined;
}
