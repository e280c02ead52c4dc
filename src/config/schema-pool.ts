// The keys of a pool and of a server. What they mean together is in cross-checks.ts.

import { checkDomain, checkHealthHost, checkName, checkPath } from './check-text.ts';
import { choice, decimal, duration, flag, integer, integerOrAuto, percent, size, text } from './leaf.ts';
import { serverUrl } from './leaf-address.ts';
import { SERVERS_MAX, WEIGHT_MAX } from './limits.ts';
import {
  dnsServers,
  errorPages,
  fileServers,
  groups,
  health,
  orOff,
  passive,
  passphrase,
} from './schema-parts.ts';
import { sticky } from './schema-sticky.ts';
import { either, key, list, mapping, optional, required, short } from './table.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1_024;
const MIB = 1_024 * KIB;

const retry = mapping({
  attempts: key(integer(0, 10), 2, 'attempts after the first; 0 = no retries'),
  budget: key(percent(0, 100), '20%', 'share of requests that may be retries'),
  status: key(
    list(integer(400, 599), { max: 32 }),
    [],
    'statuses of the server that are retried as well, such as `[502, 503]`',
  ),
});

const rebalance = mapping({
  mode: key(
    choice(['off', 'idle', 'on']),
    'off',
    '`on`: move sessions when servers are uneven. `idle`: only sessions that are idle at the moment. Needs `state: shared`',
  ),
  start: key(decimal(1, 100, { isAbove: true }), 1.25, 'begin when the skew ratio is above this'),
  stop: key(decimal(1, 100, { isAbove: true }), 1.08, 'end when the skew ratio is below this'),
  budget: key(percent(0, 100), '2%', "share of the pool's sessions that may move per cycle"),
  every: key(duration(SECOND, HOUR), '10s', 'time between two cycles'),
});

export const server = mapping(
  {
    url: required(
      serverUrl(),
      '`http://host` or `http://host:port`, port 80 when absent, or `https:` alike, port 443; with a path, which is put before that of each request. Or a unix socket, `unix:/run/app.sock`',
    ),
    name: optional(
      text('name', checkName),
      'for metrics, commands and pages; default host:port, or the file name of a unix socket',
    ),
    weight: key(
      integer(0, WEIGHT_MAX),
      1,
      'share of the load relative to the others; 0 takes no new sessions',
    ),
    maxConnections: key(integer(0, 1_000_000), 0, 'most requests in flight; 0 = no limit'),
    maxSessions: key(
      integer(0, 1_000_000),
      0,
      'most sessions, `1` for a server that serves one user at a time: a full server takes no new session, and when all are full who begins one waits in `queue`. 0 = no limit',
    ),
    backup: key(flag(), false, 'gets requests only when no other server can'),
    mode: key(
      choice(['ready', 'drain', 'maintenance']),
      'ready',
      '`drain`: no new sessions. `maintenance`: no requests and no health checks',
    ),
  },
  'server',
);

const tls = mapping({
  verify: key(
    choice(['on', 'off']),
    'on',
    'whether the certificate must be for the name of the server, current, and of a known authority. `off`: whoever is on the way can be the server, and read and change everything',
  ),
  ca: optional(
    text('path', checkPath),
    'file in PEM form with the authorities that are known, instead of those that Node.js comes with',
  ),
  serverName: optional(
    text('host', checkDomain),
    'name to ask for and to find in the certificate; absent: the host of the URL',
  ),
  groups: optional(
    groups(),
    'groups of the key exchange (curves) that are offered, the preferred first; absent: those of Node. For a server, or a box before it, that cannot read a first message of two packets: leave hybrids out, `[X25519, P-256]`',
  ),
  cert: optional(text('path', checkPath), 'file in PEM form: certificate to show to servers, and its chain'),
  key: optional(text('path', checkPath), 'file in PEM form: the key of `cert`, which nobody else may read'),
  passphrase: optional(
    passphrase(),
    'opens an encrypted key; from the environment, rather than written here',
  ),
});

export const pool = mapping(
  {
    policy: key(
      choice(['round-robin', 'least-connections', 'random-two', 'least-sessions', 'least-time']),
      'round-robin',
      'how a server is chosen for a request without a home',
    ),
    sticky: key(
      either(
        sticky,
        short(choice(['none']), sticky, () => ({}), [
          'mode',
          /^(cookie-hash|cookie-pin|learn|header-hash|address-hash)$/,
        ]),
      ),
      {},
      'session affinity; `none` for short',
    ),
    state: key(
      choice(['local', 'shared']),
      'local',
      "where the application keeps session state. `local`: in the server's own memory, a session is never moved while its home lives. `shared`: any server can serve any session",
    ),
    health: key(orOff(health, ['path', /^\//]), {}, 'active checks; `off`: servers count as up'),
    passive: key(orOff(passive), {}, 'ejects a server that fails requests; `off` to switch off'),
    retry: key(retry, {}, 'another attempt when nothing reached the client yet'),
    queue: key(
      mapping({
        size: key(integer(0, 1_000_000), 1_000, 'most waiting requests; 0 = refuse at once'),
        timeout: key(duration(0, 10 * MINUTE), '5s', 'longest wait'),
        whenDown: optional(
          duration(0, 10 * MINUTE),
          'longest wait when nobody is eligible, or only the home may serve the request and it is away, as in a restart; `0s` to fail at once. Absent: as `timeout`',
        ),
      }),
      {},
      'used when every eligible server is at maxConnections, or when there is none',
    ),
    timeouts: key(
      mapping({
        connect: key(duration(10, 5 * MINUTE), '2s', 'until the connection to a server stands'),
        response: key(duration(10, DAY), '60s', 'from the request sent to the first byte of the response'),
        idle: key(duration(10, DAY), '60s', 'longest silence within a response'),
      }),
      {},
      'how long a server may take',
    ),
    keepAlive: key(
      mapping({
        max: key(
          integerOrAuto(0, 65_536),
          'auto',
          'idle connections kept per server and thread; 0 = none, `auto` = as many as were in use at once within `idle`',
        ),
        idle: key(
          duration(0, HOUR),
          '60s',
          'how long an idle connection is kept: the newest is taken first, so that those too many grow old',
        ),
      }),
      {},
      'idle connections to servers',
    ),
    protocol: key(
      choice(['h1', 'h2', 'auto']),
      'h1',
      'what servers are spoken to in. `h2`: HTTP/2, with an `https://` URL as the handshake agrees (ALPN), with `http://` without asking. `auto`: with `https://` what the server prefers of both, with `http://` HTTP/1. WebSockets go over HTTP/1 connections of their own',
    ),
    tls: key(tls, {}, 'how servers with an `https://` URL are spoken to, checks included'),
    sendProxyProtocol: key(
      choice(['off', 'v1', 'v2']),
      'off',
      'PROXY header that connections to the servers begin with, checks included. Each is then used for requests of one client connection only',
    ),
    host: key(
      text('word or host', checkHealthHost),
      'keep',
      "Host field sent to the servers: `keep` the client's, `server` the one in the server's URL (`localhost` for a unix socket), or the name that is written here; health checks send that too. The client's is in X-Forwarded-Host",
    ),
    limits: key(
      mapping({
        responseHeadBytes: key(
          size(KIB, MIB),
          '64KiB',
          'largest response head, status line included, and largest trailers of a server of HTTP/2; a larger head is answered 502',
        ),
        interimResponses: key(
          integer(0, 1_000),
          16,
          'most interim responses (100, 102, 103) to one request; one more and it is answered 502',
        ),
      }),
      {},
      'how much a server may send',
    ),
    errorPages: key(errorPages, {}, 'as `errorPages` of all, for this pool, before those'),
    slowStart: key(duration(0, HOUR), '0s', 'a server that comes up grows to its full weight over this time'),
    holdUntilComplete: key(
      choice(['off', 'redirects', 'set-cookie', 'small']),
      'off',
      'holds responses of at most 64KiB back until they are complete, so that nobody acts on a reply whose session is still being saved: redirects; those and replies that set a cookie; those and all of known length',
    ),
    rebalance: key(rebalance, {}, 'moves sessions from crowded servers'),
    servers: required(
      list(
        either(
          server,
          short(serverUrl(), server, ({ url }) => ({ url })),
          dnsServers,
          fileServers,
        ),
        { min: 1, max: SERVERS_MAX },
      ),
      'the servers; a plain URL is short for `{ url: … }`; `{ dns: … }` and `{ file: … }` stand for all that are found there',
    ),
  },
  'pool',
);
