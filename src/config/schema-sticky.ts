// The keys of `sticky`: what identifies a session, and the balancer's own cookie. What they mean together is in
// sticky-checks.ts.

import * as z from 'zod';
import { checkCookieName, checkCookiePath, checkDomain, checkHeaderName, checkToken } from './check-text.ts';
import { choice, decimal, duration, flag, flagOrAuto, integer, secrets, text } from './leaf.ts';
import { rate } from './schema-parts.ts';

const SECOND = 1_000;
const DAY = 24 * 3_600 * SECOND;

const attributes = z.strictObject({
  httpOnly: flag().prefault(true).describe('keep the cookie from scripts'),
  secure: flagOrAuto()
    .prefault('auto')
    .describe('`auto`: Secure when the client came over TLS, directly or as a trusted peer says'),
  sameSite: choice(['Lax', 'Strict', 'None', 'off'])
    .prefault('Lax')
    .describe('`off` leaves the attribute out; `None` needs `secure: true`'),
  path: text('path', checkCookiePath).prefault('/').describe('the part of the site that sees the cookie'),
  domain: text('domain', checkDomain)
    .optional()
    .describe('share the cookie with sub-domains; absent: this host only'),
  maxAge: duration(SECOND, 400 * DAY)
    .optional()
    .describe('keep the cookie this long; absent: until the browser closes'),
  partitioned: flag()
    .prefault(false)
    .describe('a separate cookie per top-level site (CHIPS); needs `secure: true`'),
});

const STICKY_MODES = ['none', 'cookie-hash', 'cookie-pin', 'learn', 'header-hash', 'address-hash'] as const;

/** Each is tried on every cookie that the ones before do not open. */
const SECRETS_MAX = 8;

export const sticky = z.strictObject({
  mode: choice(STICKY_MODES)
    .prefault('none')
    .describe(
      '`cookie-hash`: hash of a cookie, every balancer agrees without shared state. `cookie-pin`: the cookie names the home, sealed. ' +
        "`learn`: the application's cookie or header, remembered in the session table. `header-hash`, `address-hash`: hash of a header or of the client's address. `none`: no affinity",
    ),
  cookie: text('cookie name', checkCookieName)
    .optional()
    .describe(
      "the balancer's own cookie, or the application's (for `cookie-hash` and `learn`); default `holdfast` where the mode needs one, `holdfast-POOL` where there are several pools",
    ),
  owner: choice(['balancer', 'application'])
    .optional()
    .describe(
      'who sets the cookie. `cookie-pin`: always the balancer. `learn`: always the application. `cookie-hash`: absent means the balancer when the cookie is called `holdfast` or has no name here, ends in `-holdfast` or begins with `__Host-holdfast`, else the application',
    ),
  header: text('header name', checkHeaderName)
    .optional()
    .describe('for `header-hash`, and for `learn` instead of a cookie'),
  secret: secrets(SECRETS_MAX, checkToken)
    .prefault('')
    .describe(
      'keys cookies and session keys; give the same to every balancer of the pool. A list rotates them: the first writes, all are read, so `[new, old]` until `life` has passed. When empty one is made, and kept beside `sessions.file` if there is one',
    ),
  mask: z
    .strictObject({
      ipv4: integer(8, 32).prefault(32).describe('leading bits of an IPv4 address'),
      ipv6: integer(16, 128)
        .prefault(64)
        .describe('leading bits of an IPv6 address; 64 is the network of one customer'),
    })
    .prefault({})
    .describe('for `address-hash`: what counts as one client'),
  attributes: attributes.prefault({}).describe("attributes of the balancer's own cookie"),
  idle: duration(SECOND, 30 * DAY)
    .prefault('30m')
    .describe('a session not seen for so long has ended'),
  life: duration(SECOND, 400 * DAY)
    .prefault('24h')
    .describe('a session lives at most so long'),
  bound: decimal(1, 100, { zeroIsOff: true, isAbove: true })
    .prefault(0)
    .describe(
      'bounded load for keys not made by the balancer: 1.25 = no server above 1.25 × its fair share of sessions; 0 = off',
    ),
  whenDown: choice(['move', 'refuse'])
    .prefault('move')
    .describe('a request whose home is down: `move` it to another server or `refuse` it with 503'),
  moveRate: rate(1 / 60, 1_000_000)
    .optional()
    .describe(
      'at most so many sessions a second get another home because theirs is down, in maintenance or removed (`50/s`), so that those of a full server do not come down on the others at once; the rest is answered 503 with Retry-After until its turn. Absent: no limit',
    ),
  failBack: choice(['stay', 'home', 'home-when-idle'])
    .prefault('stay')
    .describe(
      'a session that a failure moved, when its home is up again: `stay` where it is, go `home`, or `home-when-idle` for some seconds; within `rebalance.budget` per cycle, counted as moves with reason rebalance. Needs `state: shared`',
    ),
});
