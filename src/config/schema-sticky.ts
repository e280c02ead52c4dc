// The keys of `sticky`: what identifies a session, and the balancer's own cookie. What they mean together is in
// sticky-checks.ts.

import {
  checkCookieName,
  checkCookiePath,
  checkDomain,
  checkHeaderName,
  checkName,
  checkQueryName,
  checkSegmentPattern,
  checkSeparator,
  checkToken,
} from './check-text.ts';
import {
  choice,
  choiceOrOff,
  decimal,
  duration,
  flag,
  flagOrAuto,
  integer,
  leaf,
  secrets,
  shownValue,
  text,
} from './leaf.ts';
import { rate } from './schema-parts.ts';
import {
  either,
  key,
  type Leaf,
  list,
  mapping,
  names,
  optional,
  type Reading,
  required,
  type Substitution,
  short,
} from './table.ts';

const SECOND = 1_000;
const DAY = 24 * 3_600 * SECOND;

const attributes = mapping({
  httpOnly: key(flag(), true, 'keep the cookie from scripts'),
  secure: key(
    flagOrAuto(),
    'auto',
    '`auto`: Secure when the client came over TLS, directly or as a trusted peer says',
  ),
  sameSite: key(
    choiceOrOff(['Lax', 'Strict', 'None']),
    'Lax',
    '`off` leaves the attribute out; `None` needs `secure: true`',
  ),
  path: key(text('path', checkCookiePath), '/', 'the part of the site that sees the cookie'),
  domain: optional(text('domain', checkDomain), 'share the cookie with sub-domains; absent: this host only'),
  maxAge: optional(
    duration(SECOND, 400 * DAY),
    'keep the cookie this long; absent: until the browser closes',
  ),
  partitioned: key(flag(), false, 'a separate cookie per top-level site (CHIPS); needs `secure: true`'),
});

const STICKY_MODES = ['none', 'cookie-hash', 'cookie-pin', 'learn', 'header-hash', 'address-hash'] as const;

/** Each is tried on every cookie that the ones before do not open. */
const SECRETS_MAX = 8;

/** Each is looked for in every request that shows none of those before. */
const SOURCES_MAX = 8;

const source = mapping({
  cookie: optional(
    text('cookie name', (name) => checkCookieName(name.replace(/\*$/, ''))),
    'a cookie of the application; with `*` at the end every cookie whose name begins like it, such as `ASPSESSIONID*`',
  ),
  header: optional(
    text('header name', checkHeaderName),
    'a header of requests, and of the answers that set it',
  ),
  query: optional(text('parameter name', checkQueryName), 'a parameter of the query'),
  'path-parameter': optional(
    text('parameter name', checkQueryName),
    'a parameter of a path segment, such as `jsessionid` in `/buy;jsessionid=…`',
    'pathParameter',
  ),
  path: optional(
    text('path pattern', checkSegmentPattern),
    'a segment of the path: the one at the last `*` of a pattern such as `/rooms/*` (another `*` is any segment)',
  ),
});

/** Each is looked for in every request that shows no session of ours. */
const ADOPTED_MAX = 8;

const adopted = mapping({
  cookie: required(
    text('cookie name', checkCookieName),
    'cookie of the balancer that was here before, such as `SERVERID` of HAProxy',
  ),
  servers: key(
    names(text('name', checkName)),
    {},
    'what its values call the servers of this pool: `{ s1: a, s2: b }`; absent: as they are called here',
  ),
  separator: optional(
    text('text', checkSeparator),
    "`~` for HAProxy's `prefix` mode, where the cookie is the application's with the server before it (`io=s1~…`): the prefix is taken away",
  ),
});

const boundFactor = decimal(1, 100, { zeroIsOff: true, isAbove: true });

const bound = mapping({
  by: key(
    choice(['sessions', 'requests']),
    'sessions',
    '`sessions`: a new session whose server would have too many begins at the next by its key. `requests`: a request whose server would have too many in flight is served by the next by its key, this once, and counts as `overflow`; needs `state: shared`',
  ),
  factor: key(
    boundFactor,
    0,
    '1.25 = no server above 1.25 × its fair share, by weight, of the sessions or of the requests in flight; 0 = off',
  ),
});

/** A word, or a status, which YAML reads as a number. */
function moveOrNotFound(): Leaf<'move' | 404 | Substitution, 'move' | 404, ''> {
  return leaf({ kind: 'word', enum: ['move', 404] }, (written): Reading<'move' | 404> => {
    if (written === 'move') return { value: written };
    if (written === 404 || written === '404') return { value: 404 };
    return { refused: `must be move or 404, not ${shownValue(written)}` };
  });
}

export const sticky = mapping({
  mode: key(
    choice(STICKY_MODES),
    'none',
    '`cookie-hash`: hash of a cookie, every balancer agrees without shared state. `cookie-pin`: the cookie names the home, sealed. ' +
      "`learn`: the application's cookie or header, remembered in the session table. `header-hash`, `address-hash`: hash of a header or of the client's address. `none`: no affinity",
  ),
  cookie: optional(
    text('cookie name', checkCookieName),
    "the balancer's own cookie, or the application's (for `cookie-hash` and `learn`); default `holdfast` where the mode needs one, `holdfast-POOL` where there are several pools",
  ),
  owner: optional(
    choice(['balancer', 'application']),
    'who sets the cookie. `cookie-pin`: always the balancer. `learn`: always the application. `cookie-hash`: absent means the balancer when the cookie is called `holdfast` or has no name here, ends in `-holdfast` or begins with `__Host-holdfast`, else the application',
  ),
  header: optional(
    text('header name', checkHeaderName),
    'for `header-hash`, and for `learn` instead of a cookie',
  ),
  from: optional(
    list(source, { min: 1, max: SOURCES_MAX }),
    'where the application names its sessions, in order, for `learn`, `header-hash` and `cookie-hash` in place of `cookie` and `header`: the first place that a request has a value in counts; what answers set in cookies and headers is learned',
  ),
  adopt: optional(
    list(adopted, { min: 1, max: ADOPTED_MAX }),
    'cookies of the balancer that was here before: the server that one names becomes the home of a client that shows no session of ours, so that nobody is logged out by the change',
  ),
  secret: key(
    secrets(SECRETS_MAX, checkToken),
    '',
    'keys cookies and session keys; give the same to every balancer of the pool. A list rotates them: the first writes, all are read, so `[new, old]` until `life` has passed. When empty one is made, and kept beside `sessions.file` if there is one',
    'secrets',
  ),
  mask: key(
    mapping({
      ipv4: key(integer(8, 32), 32, 'leading bits of an IPv4 address'),
      ipv6: key(integer(16, 128), 64, 'leading bits of an IPv6 address; 64 is the network of one customer'),
    }),
    {},
    'for `address-hash`: what counts as one client',
  ),
  attributes: key(attributes, {}, "attributes of the balancer's own cookie"),
  idle: key(duration(SECOND, 30 * DAY), '30m', 'a session not seen for so long has ended'),
  life: key(duration(SECOND, 400 * DAY), '24h', 'a session lives at most so long'),
  bound: key(
    either(
      bound,
      short(boundFactor, bound, (factor) => ({ factor })),
    ),
    {},
    'bounded load for keys not made by the balancer; a number for short: `1.25` = no server above 1.25 × its fair share of sessions',
  ),
  whenDown: key(
    choice(['move', 'refuse']),
    'move',
    'a request whose home is down: `move` it to another server or `refuse` it with 503',
  ),
  whenLost: key(
    moveOrNotFound(),
    'move',
    'a request of a session that is lost with its home (`state: local`): `move` it to another server, which does not know it, or, where the application names its sessions (`learn`), answer `404`, so that its client begins another (MCP)',
  ),
  moveRate: optional(
    rate(1 / 60, 1_000_000),
    'at most so many sessions a second get another home because theirs is down, in maintenance or removed (`50/s`), so that those of a full server do not come down on the others at once; the rest is answered 503 with Retry-After until its turn. Absent: no limit',
    'movesPerSecond',
  ),
  failBack: key(
    choice(['stay', 'home', 'home-when-idle']),
    'stay',
    'a session that a failure moved, when its home is up again: `stay` where it is, go `home`, or `home-when-idle` for some seconds; within `rebalance.budget` per cycle, counted as moves with reason rebalance. Needs `state: shared`',
  ),
});
