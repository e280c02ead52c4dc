// The table of keys: each stands here once, with its type, limits, default, meaning and name in the model. The checks,
// the checked values and their types, what is printed, the JSON Schema for editors, docs/configuration.md and the type
// of what an embedding program may write all follow from it. The meaning of combinations is in cross-checks.ts.

import { checkHostPattern, checkRoutePath, checkToken } from './check-text.ts';
import { choice, duration, flag, integer, integerOrAuto, onOrOff, text } from './leaf.ts';
import { cidr, listenAddress, listenerAddress, nameServer } from './leaf-address.ts';
import { LISTENERS_MAX } from './limits.ts';
import { listener } from './schema-listen.ts';
import {
  accessLog,
  type dnsServers,
  errorPages,
  type fileServers,
  type health,
  orOff,
  type passive,
  rateLimit,
  viaName,
} from './schema-parts.ts';
import { pool, type server } from './schema-pool.ts';
import type { sticky } from './schema-sticky.ts';
import {
  either,
  key,
  list,
  mapping,
  names,
  oneOrMore,
  optional,
  required,
  short,
  type ValueOf,
} from './table.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Limits of lists, so that shared memory has a size. */
const ROUTES_MAX = 4_096;
const TRUSTED_MAX = 1_024;

const ADMIN_DEFAULT = '127.0.0.1:9090';

const admin = mapping({
  address: key(
    listenAddress(),
    ADMIN_DEFAULT,
    'where dashboard, API, /metrics, /healthz and /readyz are served',
  ),
  token: key(
    text('text', checkToken, true),
    '',
    'bearer token, needed for changes when set; required when the address is not loopback',
  ),
});

const sessions = mapping({
  max: key(
    integer(64, 16_777_216),
    1_000_000,
    'most sessions remembered at once; when full, idle ones make room',
  ),
  file: optional(
    text('path', (value) => (value === '' ? 'must not be empty, leave the key out for no file' : null)),
    'kept here while running, restored at the start, after a crash too; no two processes may have the same. Absent: sessions are not kept over a restart',
  ),
  saveEvery: key(
    duration(SECOND, HOUR),
    '5s',
    'how long after a save of `file` what has changed since is saved: what a crash may lose',
  ),
  perAddress: key(
    integer(0, 1_000_000),
    0,
    'most new sessions per client address, minute and thread; requests beyond it are served without a session; 0 = no limit',
  ),
});

const route = mapping(
  {
    host: optional(
      text('host', checkHostPattern),
      'exact name or one leading wildcard (`*.example.com`); port ignored, case-insensitive; absent: any host',
    ),
    path: optional(
      text('path', checkRoutePath),
      'prefix on segment boundaries: `/api` matches `/api` and `/api/x`, not `/apix`; absent: any path',
    ),
    stripPrefix: key(
      flag(),
      false,
      'servers get the path without `path`, which they are told in X-Forwarded-Prefix; what they answer (Location, cookie paths) is passed on as it is',
    ),
    pool: required(
      text('text', () => null),
      'name of the pool that serves what matches',
    ),
    clientAuth: optional(
      choice(['require']),
      '`require`: who has shown no good certificate on its connection is answered 403, whatever listener it came by (421 on one that was opened for another name); needs one with `clientAuth`',
    ),
    rateLimit: optional(rateLimit, 'requests that one client may make; absent: no limit'),
  },
  'route',
);

export const configSchema = mapping({
  threads: key(integerOrAuto(1, 64), 'auto', 'data-plane threads: a number, or `auto` = one per core'),
  listen: key(
    oneOrMore(
      either(
        listener,
        short(listenerAddress(), listener, ({ address }) => ({ address })),
      ),
      LISTENERS_MAX,
    ),
    [{}],
    'where clients connect: one listener or a list; a plain address is short for `{ address: … }`',
  ),
  admin: key(orOff(admin, ['address', /:\d{1,5}$/]), {}, 'the admin server; `off` to have none'),
  trusted: key(
    list(cidr(), { max: TRUSTED_MAX }),
    ['127.0.0.0/8', '::1'],
    'peers whose forwarding headers (X-Forwarded-For and so on) are believed: addresses or CIDRs',
  ),
  accessLog: key(
    either(
      accessLog,
      short(choice(['off', 'json']), accessLog, (word) => (word === 'off' ? null : {})),
    ),
    'off',
    'a line per request; `json` for short',
  ),
  traceparent: key(
    onOrOff(),
    'off',
    '`on`: a request without a W3C `traceparent` gets one, so that servers and access log share a trace id; one that came is passed on untouched in any case',
    'startsTraces',
  ),
  via: key(
    viaName(),
    'holdfast',
    'our name in the Via field of requests, by which a request that goes round is found and answered 508; `off` adds none and finds none',
  ),
  errorDetails: key(
    onOrOff(),
    'off',
    '`on`: the reply to a response that is not valid HTTP says to the client what was wrong with it; log and access log always do',
    'showsDetails',
  ),
  errorPages: key(
    errorPages,
    {},
    'your own pages for what the balancer answers itself: a file for a status or for `4xx` and `5xx`, of up to 64KiB, read at the start and at each reload. `.html` for browsers, `.json` and `.txt` for who asks for those; a list for several. `{{status}}`, `{{reason}}`, `{{error}}` and `{{requestId}}` in it are filled in',
  ),
  resolver: key(
    list(nameServer(), { max: 8 }),
    [],
    'name servers for `dns` in servers, as `127.0.0.1` or `127.0.0.1:5353`; none: names are found as the system finds them',
  ),
  shutdown: key(
    mapping({
      grace: key(
        duration(0, DAY),
        '30s',
        'how long requests and WebSockets in flight may take when the balancer stops or is replaced; then they are closed',
      ),
    }),
    {},
    'the end of the process',
  ),
  sessions: key(sessions, {}, 'the session table'),
  routes: optional(
    list(route, { min: 1, max: ROUTES_MAX }),
    'which pool serves what, first match wins; optional when there is one pool',
  ),
  pools: required(names(pool), 'groups of servers, by name'),
});

/** What was written, defaults filled in, units resolved; not yet cross-checked. */
export type Written = ValueOf<typeof configSchema>;
export type WrittenPool = ValueOf<typeof pool>;
export type WrittenSticky = ValueOf<typeof sticky>;
export type WrittenListener = ValueOf<typeof listener>;
export type WrittenRoute = ValueOf<typeof route>;
export type WrittenServer = ValueOf<typeof server>;
export type WrittenDns = ValueOf<typeof dnsServers>;
export type WrittenFile = ValueOf<typeof fileServers>;
export type WrittenHealth = ValueOf<typeof health>;
export type WrittenPassive = ValueOf<typeof passive>;
export type WrittenRateLimit = ValueOf<typeof rateLimit>;
