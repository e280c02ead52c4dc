// The schema: every key, its kind, limits, default and meaning, in one place. The checks, the JSON Schema for editors
// and docs/configuration.md all come from here. The meaning of combinations is in cross-checks.ts.

import * as z from 'zod';
import {
  checkFileMode,
  checkHealthHost,
  checkHostPattern,
  checkName,
  checkRoutePath,
  checkToken,
} from './check-text.ts';
import {
  choice,
  cidr,
  decimal,
  duration,
  flag,
  integer,
  integerOrAuto,
  listenAddress,
  listenerAddress,
  percent,
  serverUrl,
  size,
  text,
} from './leaf.ts';
import { LISTENERS_MAX, SERVERS_MAX } from './limits.ts';
import {
  accessLog,
  dnsServers,
  fileServers,
  health,
  nameServer,
  passive,
  rateLimit,
  viaName,
} from './schema-parts.ts';
import { sticky } from './schema-sticky.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1_024;
const MIB = 1_024 * KIB;
const TIB = 1_024 * 1_024 * MIB;

/** Limits of lists, so that shared memory has a size. */
export const ROUTES_MAX = 4_096;
const TRUSTED_MAX = 1_024;

export const LISTEN_DEFAULT = '0.0.0.0:8080';
export const ADMIN_DEFAULT = '127.0.0.1:9090';

const off = choice(['off']);

const listenTimeouts = z.strictObject({
  header: duration(100, 10 * MINUTE)
    .prefault('10s')
    .describe('the whole request head must arrive within this time'),
  body: duration(100, HOUR).prefault('30s').describe('longest silence while a request body is expected'),
  keepAlive: duration(0, HOUR)
    .prefault('75s')
    .describe('idle time between two requests of one connection; 0 closes after each'),
  tunnel: duration(SECOND, 7 * DAY)
    .prefault('1h')
    .describe('longest silence in a WebSocket'),
});

const listenLimits = z.strictObject({
  headerBytes: size(KIB, MIB).prefault('32KiB').describe('largest request head, request line included'),
  headerCount: integer(1, 1_024).prefault(100).describe('most header fields of a request'),
  bodyBytes: size(1, 16 * TIB, true)
    .prefault(0)
    .describe('largest request body; 0 = no limit'),
  connections: integer(0, 1_000_000)
    .prefault(10_000)
    .describe('most client connections at once; 0 = no limit'),
  connectionsPerAddress: integer(0, 1_000_000)
    .prefault(0)
    .describe('most connections of one client address at once, over all threads; 0 = no limit'),
  requestsPerConnection: integer(0, 1_000_000_000)
    .prefault(0)
    .describe('requests after which a client connection is closed; 0 = no limit'),
  minRate: size(1, 100 * MIB, true)
    .prefault(0)
    .describe(
      'bytes a second that a client must send while a request is expected of it, and take while a response waits, averaged over 5 s after 5 s of grace; slower ones are cut. 0 = off',
    ),
});

const listener = z
  .strictObject({
    address: listenerAddress()
      .prefault(LISTEN_DEFAULT)
      .describe(
        '`host:port`, `[::1]:8080`, or `:8080` for every IPv4 address; port 0 lets the system choose. Or a unix socket, `unix:/run/holdfast.sock`: who connects there counts as 127.0.0.1',
      ),
    mode: text('permissions', checkFileMode)
      .optional()
      .describe('permissions of the file of a unix socket; absent: `"0660"`, its owner and group'),
    timeouts: listenTimeouts.prefault({}).describe('how long a client may take'),
    limits: listenLimits.prefault({}).describe('how much a client may send'),
    rateLimit: rateLimit.optional().describe('for requests by routes without one of their own; absent: none'),
    halfClose: choice(['abort', 'answer'])
      .prefault('abort')
      .describe(
        'a client that ends its half of the connection after a whole request: `abort` takes it for gone, as browsers that are closed look just the same, and ends the request; `answer` answers it, and those behind it. After a request that says so in its Connection field it is answered in any case',
      ),
  })
  .meta({ id: 'listener' });

const admin = z.strictObject({
  address: listenAddress()
    .prefault(ADMIN_DEFAULT)
    .describe('where dashboard, API, /metrics, /healthz and /readyz are served'),
  token: text('text', checkToken, true)
    .prefault('')
    .describe('bearer token, needed for changes when set; required when the address is not loopback'),
});

const sessions = z.strictObject({
  max: integer(64, 16_777_216)
    .prefault(1_000_000)
    .describe('most sessions remembered at once; when full, idle ones make room'),
  file: text('path', (value) => (value === '' ? 'must not be empty, leave the key out for no file' : null))
    .optional()
    .describe(
      'kept here while running, restored at the start, after a crash too; no two processes may have the same. Absent: sessions are not kept over a restart',
    ),
  saveEvery: duration(SECOND, HOUR)
    .prefault('5s')
    .describe('how long after a save of `file` what has changed since is saved: what a crash may lose'),
  perAddress: integer(0, 1_000_000)
    .prefault(0)
    .describe(
      'most new sessions per client address, minute and thread; requests beyond it are served without a session; 0 = no limit',
    ),
});

const route = z
  .strictObject({
    host: text('host', checkHostPattern)
      .optional()
      .describe(
        'exact name or one leading wildcard (`*.example.com`); port ignored, case-insensitive; absent: any host',
      ),
    path: text('path', checkRoutePath)
      .optional()
      .describe(
        'prefix on segment boundaries: `/api` matches `/api` and `/api/x`, not `/apix`; absent: any path',
      ),
    stripPrefix: flag()
      .prefault(false)
      .describe(
        'servers get the path without `path`, which they are told in X-Forwarded-Prefix; what they answer (Location, cookie paths) is passed on as it is',
      ),
    pool: text('text', () => null).describe('name of the pool that serves what matches'),
    rateLimit: rateLimit.optional().describe('requests that one client may make; absent: no limit'),
  })
  .meta({ id: 'route' });

const retry = z.strictObject({
  attempts: integer(0, 10).prefault(2).describe('attempts after the first; 0 = no retries'),
  budget: percent(0, 100).prefault('20%').describe('share of requests that may be retries'),
  status: z
    .array(integer(400, 599))
    .max(32)
    .prefault([])
    .describe('statuses of the server that are retried as well, such as `[502, 503]`'),
});

const rebalance = z.strictObject({
  mode: choice(['off', 'idle', 'on'])
    .prefault('off')
    .describe(
      '`on`: move sessions when servers are uneven. `idle`: only sessions that are idle at the moment. Needs `state: shared`',
    ),
  start: decimal(1, 100, { isAbove: true })
    .prefault(1.25)
    .describe('begin when the skew ratio is above this'),
  stop: decimal(1, 100, { isAbove: true }).prefault(1.08).describe('end when the skew ratio is below this'),
  budget: percent(0, 100).prefault('2%').describe("share of the pool's sessions that may move per cycle"),
  every: duration(SECOND, HOUR).prefault('10s').describe('time between two cycles'),
});

const server = z
  .strictObject({
    url: serverUrl().describe(
      '`http://host` or `http://host:port`, port 80 when absent; with a path, which is put before that of each request. Or a unix socket, `unix:/run/app.sock`',
    ),
    name: text('name', checkName)
      .optional()
      .describe('for metrics, commands and pages; default host:port, or the file name of a unix socket'),
    weight: integer(0, 1_000)
      .prefault(1)
      .describe('share of the load relative to the others; 0 takes no new sessions'),
    maxConnections: integer(0, 1_000_000).prefault(0).describe('most requests in flight; 0 = no limit'),
    backup: flag().prefault(false).describe('gets requests only when no other server can'),
    mode: choice(['ready', 'drain', 'maintenance'])
      .prefault('ready')
      .describe('`drain`: no new sessions. `maintenance`: no requests and no health checks'),
  })
  .meta({ id: 'server' });

const pool = z
  .strictObject({
    policy: choice(['round-robin', 'least-connections', 'random-two', 'least-sessions', 'least-time'])
      .prefault('round-robin')
      .describe('how a server is chosen for a request without a home'),
    sticky: sticky
      .or(choice(['none']))
      .prefault({})
      .describe('session affinity; `none` for short'),
    state: choice(['local', 'shared'])
      .prefault('local')
      .describe(
        "where the application keeps session state. `local`: in the server's own memory, a session is never moved while its home lives. `shared`: any server can serve any session",
      ),
    health: health.or(off).prefault({}).describe('active checks; `off`: servers count as up'),
    passive: passive
      .or(off)
      .prefault({})
      .describe('ejects a server that fails requests; `off` to switch off'),
    retry: retry.prefault({}).describe('another attempt when nothing reached the client yet'),
    queue: z
      .strictObject({
        size: integer(0, 1_000_000).prefault(1_000).describe('most waiting requests; 0 = refuse at once'),
        timeout: duration(0, 10 * MINUTE)
          .prefault('5s')
          .describe('longest wait'),
        whenDown: duration(0, 10 * MINUTE)
          .optional()
          .describe(
            'longest wait when nobody is eligible, or only the home may serve the request and it is away, as in a restart; `0s` to fail at once. Absent: as `timeout`',
          ),
      })
      .prefault({})
      .describe('used when every eligible server is at maxConnections, or when there is none'),
    timeouts: z
      .strictObject({
        connect: duration(10, 5 * MINUTE)
          .prefault('2s')
          .describe('until the connection to a server stands'),
        response: duration(10, DAY)
          .prefault('60s')
          .describe('from the request sent to the first byte of the response'),
        idle: duration(10, DAY).prefault('60s').describe('longest silence within a response'),
      })
      .prefault({})
      .describe('how long a server may take'),
    keepAlive: z
      .strictObject({
        max: integer(0, 65_536)
          .prefault(256)
          .describe('idle connections kept per server and thread; 0 = none'),
        idle: duration(0, HOUR).prefault('60s').describe('how long an idle connection is kept'),
      })
      .prefault({})
      .describe('idle connections to servers'),
    host: text('word or host', checkHealthHost)
      .prefault('keep')
      .describe(
        "Host field sent to the servers: `keep` the client's, `server` the one in the server's URL (`localhost` for a unix socket), or the name that is written here; health checks send that too. The client's is in X-Forwarded-Host",
      ),
    limits: z
      .strictObject({
        responseHeadBytes: size(KIB, MIB)
          .prefault('64KiB')
          .describe('largest response head, status line included; a larger one is answered 502'),
        interimResponses: integer(0, 1_000)
          .prefault(16)
          .describe('most interim responses (100, 102, 103) to one request; one more and it is answered 502'),
      })
      .prefault({})
      .describe('how much a server may send'),
    slowStart: duration(0, HOUR)
      .prefault('0s')
      .describe('a server that comes up grows to its full weight over this time'),
    holdUntilComplete: choice(['off', 'redirects', 'set-cookie', 'small'])
      .prefault('off')
      .describe(
        'holds responses of at most 64KiB back until they are complete, so that nobody acts on a reply whose session is still being saved: redirects; those and replies that set a cookie; those and all of known length',
      ),
    rebalance: rebalance.prefault({}).describe('moves sessions from crowded servers'),
    servers: z
      .array(z.union([server, serverUrl(), dnsServers, fileServers]))
      .min(1)
      .max(SERVERS_MAX)
      .describe(
        'the servers; a plain URL is short for `{ url: … }`; `{ dns: … }` and `{ file: … }` stand for all that are found there',
      ),
  })
  .meta({ id: 'pool' });

export const configSchema = z.strictObject({
  threads: integerOrAuto(1, 64)
    .prefault('auto')
    .describe('data-plane threads: a number, or `auto` = one per core'),
  listen: z
    .union([z.array(listener.or(listenerAddress())).min(1).max(LISTENERS_MAX), listener, listenerAddress()])
    .prefault([{}])
    .describe('where clients connect: one listener or a list; a plain address is short for `{ address: … }`'),
  admin: admin.or(off).prefault({}).describe('the admin server; `off` to have none'),
  trusted: z
    .array(cidr())
    .max(TRUSTED_MAX)
    .prefault(['127.0.0.0/8', '::1'])
    .describe('peers whose forwarding headers (X-Forwarded-For and so on) are believed: addresses or CIDRs'),
  accessLog: accessLog
    .or(choice(['off', 'json']))
    .prefault('off')
    .describe('a line per request; `json` for short'),
  traceparent: choice(['off', 'on'])
    .prefault('off')
    .describe(
      '`on`: a request without a W3C `traceparent` gets one, so that servers and access log share a trace id; one that came is passed on untouched in any case',
    ),
  via: viaName()
    .prefault('holdfast')
    .describe(
      'our name in the Via field of requests, by which a request that goes round is found and answered 508; `off` adds none and finds none',
    ),
  errorDetails: choice(['off', 'on'])
    .prefault('off')
    .describe(
      '`on`: the reply to a response that is not valid HTTP says to the client what was wrong with it; log and access log always do',
    ),
  resolver: z
    .array(nameServer())
    .max(8)
    .prefault([])
    .describe(
      'name servers for `dns` in servers, as `127.0.0.1` or `127.0.0.1:5353`; none: names are found as the system finds them',
    ),
  shutdown: z
    .strictObject({
      grace: duration(0, DAY)
        .prefault('30s')
        .describe(
          'how long requests and WebSockets in flight may take when the balancer stops or is replaced; then they are closed',
        ),
    })
    .prefault({})
    .describe('the end of the process'),
  sessions: sessions.prefault({}).describe('the session table'),
  routes: z
    .array(route)
    .min(1)
    .max(ROUTES_MAX)
    .optional()
    .describe('which pool serves what, first match wins; optional when there is one pool'),
  pools: z.record(z.string(), pool).describe('groups of servers, by name'),
});

/** What was written, defaults filled in, units resolved; not yet cross-checked. */
export type Written = z.output<typeof configSchema>;
export type WrittenPool = z.output<typeof pool>;
export type WrittenSticky = Exclude<WrittenPool['sticky'], string>;
export type WrittenListener = z.output<typeof listener>;
export type WrittenServer = z.output<typeof server>;
export type WrittenDiscovery = z.output<typeof dnsServers> | z.output<typeof fileServers>;
