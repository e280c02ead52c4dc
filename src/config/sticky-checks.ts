// What the keys of `sticky` mean together: which mode needs what, and what browsers demand of cookies.

import { formatDuration } from '../base/units.ts';
import type { Remarks } from './remarks.ts';
import { checkRolling } from './rolling-cookies.ts';
import type { Written, WrittenSticky } from './schema.ts';
import type { Path } from './tree.ts';

const SECRET_LENGTH_WISE = 16;
const PREFIXES = ['__Host-', '__Secure-'] as const;
/** As the schema says. */
const MASK_DEFAULT = { ipv4: 32, ipv6: 64 };
const COOKIE_DEFAULT = 'holdfast';

/** The cookie the mode reads; the default name stands in only where the balancer makes the cookie. */
export function cookieOf(sticky: Pick<WrittenSticky, 'cookie'>, pool: string, isOnly: boolean): string {
  return sticky.cookie ?? (isOnly ? COOKIE_DEFAULT : defaultOfPool(pool));
}

/** With another pool, or without it, the default is the other name: cookies of both are read, so that none is lost. */
export function aliasesOf(cookie: string, pool: string): readonly string[] {
  const defaults = [COOKIE_DEFAULT, defaultOfPool(pool)];
  return defaults.includes(cookie) ? defaults.filter((name) => name !== cookie) : [];
}

/** Several pools on one host must not take each other's cookie away. A pool's name may have a ":", a cookie's may not. */
function defaultOfPool(pool: string): string {
  return `${COOKIE_DEFAULT}-${pool.replaceAll(':', '_')}`;
}

/** Who sets the cookie: as written, else told by mode and name. */
export function ownerOf(sticky: WrittenSticky, pool: string): 'balancer' | 'application' {
  if (sticky.mode === 'learn') return 'application';
  if (sticky.mode !== 'cookie-hash') return 'balancer';
  if (sticky.from !== null) return 'application';
  const cookie = sticky.cookie ?? COOKIE_DEFAULT;
  const isOurs =
    aliasesOf(cookie, pool).length > 0 ||
    cookie.endsWith('-holdfast') ||
    cookie.startsWith('__Host-holdfast');
  return sticky.owner ?? (isOurs ? 'balancer' : 'application');
}

/** `isOnly`: there is no other pool. */
export function stickyProblems(
  pool: string,
  at: Path,
  written: WrittenSticky,
  isOnly: boolean,
  remarks: Remarks,
): void {
  checkMode(at, written, remarks);
  checkOwner(at, written, remarks);
  checkWhenLost(pool, at, written, remarks);
  if (isNamedByApplication(pool, written)) checkRolling(at, written, remarks);
  checkAdopt(at, written, setsCookie(written, pool) ? cookieOf(written, pool, isOnly) : null, remarks);
  if (written.idleMs > written.lifeMs) {
    remarks.error([...at, 'idle'], '"idle" must not be longer than "life"', [
      [...at, 'idle'],
      [...at, 'life'],
    ]);
  }
  if (written.secrets.some(({ length }) => length < SECRET_LENGTH_WISE)) {
    remarks.warning(
      [...at, 'secret'],
      `"secret" is short, use at least ${SECRET_LENGTH_WISE} random characters`,
    );
  }
  if (!setsCookie(written, pool)) return;
  checkCookie(at, written, cookieOf(written, pool, isOnly), remarks);
  checkMaxAge(at, written, remarks);
}

function isNamedByApplication(pool: string, sticky: WrittenSticky): boolean {
  const { mode } = sticky;
  return mode === 'learn' || (mode === 'cookie-hash' && ownerOf(sticky, pool) === 'application');
}

function setsCookie(sticky: WrittenSticky, pool: string): boolean {
  const usesCookie = sticky.mode === 'cookie-hash' || sticky.mode === 'cookie-pin';
  return usesCookie && ownerOf(sticky, pool) === 'balancer';
}

/** Cookies are renewed while they are used, so that maxAge is how long a pause may be: as idle is. */
function checkMaxAge(at: Path, { attributes, idleMs }: WrittenSticky, remarks: Remarks): void {
  const { maxAgeMs } = attributes;
  if (maxAgeMs === null || maxAgeMs >= idleMs) return;
  const path = [...at, 'attributes', 'maxAge'];
  const message = `"maxAge" ${formatDuration(maxAgeMs)} is shorter than "idle" ${formatDuration(idleMs)}: after a pause of ${formatDuration(maxAgeMs)} the browser has forgotten the cookie, and the session loses its home`;
  remarks.warning(path, message, [path, [...at, 'idle']]);
}

/**
 * Two pools that a browser reaches under one host and that set the same cookie take it away from each other. Told by
 * hosts alone: whatever the paths, the cookie goes to all of them.
 */
export function sharedCookieProblems(written: Written, remarks: Remarks): void {
  const pools = Object.entries(written.pools);
  const first = new Map<string, string>();
  for (const [name, { sticky }] of pools) {
    if (!setsCookie(sticky, name)) continue;
    const { attributes } = sticky;
    const key = [cookieOf(sticky, name, pools.length === 1), attributes.path, attributes.domain].join(' ');
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, name);
    } else if (attributes.domain !== null || shareHost(written.routes ?? [], earlier, name)) {
      const message = `"cookie" ${cookieOf(sticky, name, false)} is also set by pool "${earlier}" in line {line} for the same hosts: a browser keeps only one of them, give one pool another name`;
      const path = (pool: string): Path => ['pools', pool, 'sticky', 'cookie'];
      remarks.clash(path(name), path(earlier), message);
    }
  }
}

function shareHost(routes: NonNullable<Written['routes']>, one: string, other: string): boolean {
  const hostsOf = (pool: string): readonly string[] =>
    routes.filter((route) => route.pool === pool).map(({ host }) => host?.toLowerCase() ?? '*');
  return hostsOf(one).some((a) => hostsOf(other).some((b) => covers(a, b) || covers(b, a)));
}

/** Does the pattern take the host, or all hosts of the other pattern? */
function covers(pattern: string, host: string): boolean {
  return pattern === '*' || pattern === host || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));
}

function checkMode(at: Path, sticky: WrittenSticky, remarks: Remarks): void {
  const { mode, cookie, header, mask, from } = sticky;
  const modePath = [...at, 'mode'];
  if (from !== null) checkFrom(at, sticky, from, remarks);
  if (mode === 'learn') {
    if (from !== null) return;
    if (cookie === null && header === null) {
      remarks.error(modePath, 'mode learn needs "cookie", "header" or "from", what the application sets', [
        [...at, 'cookie'],
        [...at, 'header'],
      ]);
    } else if (cookie !== null && header !== null) {
      remarks.errorAtKey([...at, 'header'], 'mode learn takes "cookie" or "header", not both');
    }
    return;
  }
  if (mode === 'header-hash' && header === null && from === null) {
    remarks.error(modePath, 'mode header-hash needs "header" or "from"', [[...at, 'header']]);
  }
  if (mode !== 'address-hash' && (mask.ipv4 !== MASK_DEFAULT.ipv4 || mask.ipv6 !== MASK_DEFAULT.ipv6))
    unused([...at, 'mask'], 'mask', mode, at, remarks);
  if (mode !== 'header-hash' && header !== null) unused([...at, 'header'], 'header', mode, at, remarks);
  const readsCookie = mode === 'cookie-hash' || mode === 'cookie-pin';
  if (!readsCookie && cookie !== null) unused([...at, 'cookie'], 'cookie', mode, at, remarks);
}

const PLACES = ['cookie', 'header', 'query', 'path-parameter', 'path'] as const;
const MODES_WITH_FROM: readonly string[] = ['learn', 'header-hash', 'cookie-hash'];

function checkFrom(
  at: Path,
  { mode, cookie, header, owner }: WrittenSticky,
  from: NonNullable<WrittenSticky['from']>,
  remarks: Remarks,
): void {
  if (!MODES_WITH_FROM.includes(mode)) unused([...at, 'from'], 'from', mode, at, remarks);
  for (const [key, value] of Object.entries({ cookie, header })) {
    if (value !== null && MODES_WITH_FROM.includes(mode))
      remarks.errorAtKey([...at, key], `"${key}" and "from" say the same twice, put it into "from"`);
  }
  if (mode === 'cookie-hash' && owner === 'balancer')
    remarks.error(
      [...at, 'owner'],
      '"from" is what the application names its sessions by, leave "owner" out',
      [[...at, 'from']],
    );
  from.forEach((source, index) => {
    const places = Object.values(source).filter((name) => name !== null);
    if (places.length === 1) return;
    const path = [...at, 'from', index];
    const message =
      'must be one of cookie, header, query, path-parameter and path, each in an item of its own';
    remarks.error(
      path,
      message,
      PLACES.map((place) => [...path, place]),
    );
  });
}

function unused(path: Path, key: string, mode: string, at: Path, remarks: Remarks): void {
  remarks.warning(path, `"${key}" has no effect with mode ${mode}`, [[...at, 'mode']]);
}

function checkOwner(at: Path, sticky: WrittenSticky, remarks: Remarks): void {
  const { mode, owner } = sticky;
  const path = [...at, 'owner'];
  if (mode === 'cookie-pin' && owner === 'application') {
    remarks.error(
      path,
      'mode cookie-pin always sets its own cookie, leave "owner" out or use mode cookie-hash or learn',
      [[...at, 'mode']],
    );
  } else if (mode === 'learn' && owner === 'balancer') {
    remarks.error(
      path,
      'mode learn always reads what the application sets, leave "owner" out or use mode cookie-hash',
      [[...at, 'mode']],
    );
  } else if (owner !== null && !['cookie-hash', 'cookie-pin', 'learn'].includes(mode)) {
    unused(path, 'owner', mode, at, remarks);
  }
}

/** Rules of browsers: a cookie that breaks one is dropped silently, and with it the affinity. */
function checkCookie(at: Path, sticky: WrittenSticky, cookie: string, remarks: Remarks): void {
  const { attributes } = sticky;
  const securePath = [...at, 'attributes', 'secure'];
  const prefix = PREFIXES.find((candidate) => cookie.toLowerCase().startsWith(candidate.toLowerCase()));
  const cookiePath = [...at, 'cookie'];
  if (prefix !== undefined && attributes.secure !== true) {
    const message = `browsers drop a ${prefix} cookie without Secure, and "secure" is not true: set it if all clients come over TLS, else leave the prefix out`;
    remarks.error(cookiePath, message, [securePath]);
  }
  if (prefix === '__Host-' && attributes.domain !== null) {
    remarks.error([...at, 'attributes', 'domain'], 'a __Host- cookie must not have a "domain"', [cookiePath]);
  }
  if (prefix === '__Host-' && attributes.path !== '/') {
    remarks.error([...at, 'attributes', 'path'], 'a __Host- cookie must have "path: /"', [cookiePath]);
  }
  requireSecure(
    [...at, 'attributes', 'sameSite'],
    '"sameSite: None"',
    attributes.sameSite === 'None',
    attributes.secure,
    remarks,
  );
  requireSecure(
    [...at, 'attributes', 'partitioned'],
    '"partitioned"',
    attributes.partitioned,
    attributes.secure,
    remarks,
  );
}

/** A client begins another session when it is told, or shows the same key again and again: only the application's are dropped. */
function checkWhenLost(pool: string, at: Path, sticky: WrittenSticky, remarks: Remarks): void {
  const { mode, whenLost, from, header } = sticky;
  if (whenLost === 'move') return;
  const path = [...at, 'whenLost'];
  const involves = [[...at, 'mode']];
  if (!isNamedByApplication(pool, sticky))
    remarks.error(
      path,
      `"whenLost: 404" needs sessions that the application names, mode learn or cookie-hash with its cookie: with ${mode} a client would be told for ever`,
      involves,
    );
  else if (header === null && (from === null || from.some(({ cookie }) => cookie !== null)))
    remarks.warning(
      path,
      '"whenLost: 404" is for clients that begin another session on 404 (MCP): a browser shows its cookie again, and is answered 404 until it expires',
      involves,
    );
}

/** `own`: the cookie that we set. */
function checkAdopt(at: Path, { mode, adopt }: WrittenSticky, own: string | null, remarks: Remarks): void {
  if (adopt === null) return;
  if (mode === 'none') unused([...at, 'adopt'], 'adopt', mode, at, remarks);
  adopt.forEach(({ cookie }, index) => {
    if (cookie === own)
      remarks.error(
        [...at, 'adopt', index, 'cookie'],
        `"${cookie}" is the cookie that this pool sets itself`,
        [[...at, 'cookie']],
      );
  });
}

function requireSecure(
  path: Path,
  what: string,
  isWanted: boolean,
  secure: boolean | 'auto',
  remarks: Remarks,
): void {
  if (!isWanted || secure === true) return;
  const involves = [[...path.slice(0, -1), 'secure']];
  if (secure === false)
    remarks.error(path, `${what} needs "secure: true", browsers drop such a cookie`, involves);
  else
    remarks.warning(
      path,
      `${what} needs "secure: true"; with "auto" browsers drop the cookie when a client comes over plain HTTP`,
      involves,
    );
}
