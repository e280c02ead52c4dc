// What keys mean together: the checks a schema of single values cannot make.

import type { Files } from '../tls/files.ts';
import { formatHostPort, isLoopback } from './address.ts';
import { checkName } from './check-text.ts';
import { checkErrorPages } from './error-pages.ts';
import { checkHealth } from './health-checks.ts';
import { POOLS_MAX, SERVERS_MAX } from './limits.ts';
import { checkLoops } from './loop-checks.ts';
import { RATE_LIMITS_MAX } from './rate.ts';
import { type Remark, Remarks } from './remarks.ts';
import type { Written, WrittenPool } from './schema.ts';
import { checkServerTls } from './server-tls-checks.ts';
import { isServer, named } from './servers.ts';
import { sharedCookieProblems, stickyProblems } from './sticky-checks.ts';
import { didYouMean } from './suggest.ts';
import { checkTls } from './tls-checks.ts';
import type { Path } from './tree.ts';

/**
 * `poolNames` are all that were written, also those whose content is wrong. `files`: where certificates are looked at; null:
 * they are not.
 */
export function crossCheck(
  written: Written,
  poolNames: readonly string[],
  files: Files | null,
): readonly Remark[] {
  const remarks = new Remarks();
  checkListeners(written, remarks);
  checkLocalhost(written, remarks);
  checkTls(written, files, remarks);
  checkAdmin(written, remarks);
  checkRoutes(written, poolNames, remarks);
  checkUnreached(written, remarks);
  checkRateLimits(written, remarks);
  checkLoops(written, remarks);
  checkErrorPages(['errorPages'], written.errorPages, remarks);
  if (poolNames.length === 0) remarks.error(['pools'], '"pools" must name at least one pool');
  if (poolNames.length > POOLS_MAX)
    remarks.error(['pools'], `"pools" must have at most ${POOLS_MAX} entries`);
  for (const [name, pool] of Object.entries(written.pools)) {
    checkPool(name, pool, poolNames.length === 1, remarks);
  }
  sharedCookieProblems(written, remarks);
  checkServerCount(written, remarks);
  return remarks.list;
}

function checkListeners(written: Written, remarks: Remarks): void {
  const first = new Map<string, Path>();
  const adminKey = written.admin === null ? null : formatHostPort(written.admin.address);
  for (const [index, { address, mode, proxyProtocol }] of written.listen.entries()) {
    const path: Path = ['listen', index, 'address'];
    if (mode !== null && address.socketPath === null)
      remarks.warning(['listen', index, 'mode'], '"mode" has no effect, the address is no unix socket', [
        path,
      ]);
    if (proxyProtocol !== 'off' && written.trusted.length === 0)
      remarks.error(
        ['listen', index, 'proxyProtocol'],
        `"proxyProtocol: ${proxyProtocol}" takes headers from peers in "trusted" only, and there are none`,
        [['trusted']],
      );
    if (address.port === 0 && address.socketPath === null) continue;
    const key = address.socketPath ?? formatHostPort(address);
    const earlier = first.get(key);
    if (earlier !== undefined) {
      remarks.clash(
        path,
        earlier,
        `address "${address.address}" is already taken by the listener in line {line}`,
      );
    } else {
      first.set(key, path);
    }
    if (key === adminKey) {
      remarks.error(
        path,
        `address "${address.address}" is the one of the admin server, give one of them another port`,
        [['admin']],
      );
    }
  }
}

/** The system opens both, and gives connections to either: to other settings than the client has asked for. */
function checkLocalhost({ listen }: Written, remarks: Remarks): void {
  for (const [index, { address }] of listen.entries()) {
    const { host, port, socketPath } = address;
    if (host !== 'localhost' || port === 0 || socketPath !== null) continue;
    const other = listen.findIndex(
      (each) => each.address.port === port && each.address.host !== host && isLoopback(each.address.host),
    );
    if (other !== -1)
      remarks.warningClash(
        ['listen', index, 'address'],
        ['listen', other, 'address'],
        `"${address.address}" may be the same address as that of the listener in line {line}, which then get each other's connections`,
      );
  }
}

function checkAdmin(written: Written, remarks: Remarks): void {
  if (written.admin === null || written.admin.token !== '') return;
  const { host, address } = written.admin.address;
  if (isLoopback(host)) return;
  const message = `"admin.token" is required because "${address}" can be reached from other machines, set one or use a loopback address`;
  remarks.error(['admin', 'address'], message, [['admin', 'token']]);
}

function checkRoutes(written: Written, poolNames: readonly string[], remarks: Remarks): void {
  if (written.routes === null) {
    if (poolNames.length < 2) return;
    const message = `"routes" is required when there is more than one pool (${poolNames.slice(0, 5).join(', ')})`;
    remarks.errorAtKey(['pools'], message, [['routes']]);
    return;
  }
  const known = new Set(poolNames);
  for (const [index, { pool, path, stripPrefix }] of written.routes.entries()) {
    if (stripPrefix && (path ?? '/') === '/')
      remarks.error(['routes', index, 'stripPrefix'], '"stripPrefix" needs a "path" to take away', [
        ['routes', index, 'path'],
      ]);
    if (known.has(pool)) continue;
    const nearest = didYouMean(pool, poolNames);
    const list =
      nearest === '' && poolNames.length > 0 ? `, pools are: ${poolNames.slice(0, 20).join(', ')}` : nearest;
    remarks.error(['routes', index, 'pool'], `there is no pool "${pool}"${list}`);
  }
  checkHiddenRoutes(written.routes, remarks);
}

/** The plain cases of a route behind one that matches all of it: same or any host, same or any path. */
function checkHiddenRoutes(routes: NonNullable<Written['routes']>, remarks: Remarks): void {
  const first = new Map<string, Path>();
  for (const [index, route] of routes.entries()) {
    const host = route.host?.toLowerCase() ?? '';
    const routePath = route.path?.replace(/\/$/, '') ?? '';
    const wider = [`${host} ${routePath}`, `${host} `, ` ${routePath}`, ' '];
    const earlier = wider.map((key) => first.get(key)).find((path) => path !== undefined);
    const path: Path = ['routes', index];
    if (earlier === undefined) first.set(`${host} ${routePath}`, path);
    else
      remarks.warningClash(
        path,
        earlier,
        'this route is never reached, the one in line {line} matches all of it first',
      );
  }
}

function checkUnreached(written: Written, remarks: Remarks): void {
  if (written.routes === null) return;
  const reached = new Set(written.routes.map(({ pool }) => pool));
  for (const name of Object.keys(written.pools)) {
    if (!reached.has(name))
      remarks.warningAtKey(['pools', name], `no route leads to pool "${name}"`, [['routes']]);
  }
}

function checkRateLimits(written: Written, remarks: Remarks): void {
  const places: Path[] = [];
  for (const [index, { rateLimit, tls }] of written.listen.entries()) {
    if (rateLimit !== null) places.push(['listen', index, 'rateLimit']);
    if (tls !== null && tls.handshakeRate !== null) places.push(['listen', index, 'tls', 'handshakeRate']);
  }
  for (const [index, { rateLimit }] of (written.routes ?? []).entries())
    if (rateLimit !== null) places.push(['routes', index, 'rateLimit']);
  const [tooMany] = places.slice(RATE_LIMITS_MAX);
  if (tooMany !== undefined)
    remarks.errorAtKey(tooMany, `there may be at most ${RATE_LIMITS_MAX} rate limits`);
}

function checkPool(name: string, pool: WrittenPool, isOnly: boolean, remarks: Remarks): void {
  const at: Path = ['pools', name];
  const refused = checkName(name);
  if (refused !== null) remarks.errorAtKey(at, `the name of a pool ${refused}`);
  checkServers(at, pool, remarks);
  stickyProblems(name, [...at, 'sticky'], pool.sticky, isOnly, remarks);
  checkRebalance([...at, 'rebalance'], pool, remarks);
  checkFailBack([...at, 'sticky', 'failBack'], pool, remarks);
  checkBound([...at, 'sticky', 'bound'], pool, remarks);
  checkHealth([...at, 'health'], pool, remarks);
  checkServerTls(at, pool, remarks);
  checkErrorPages([...at, 'errorPages'], pool.errorPages, remarks);
}

function checkServers(at: Path, pool: WrittenPool, remarks: Remarks): void {
  const first = new Map<string, Path>();
  checkDiscovery(at, pool, remarks);
  checkAdopted(at, pool, remarks);
  checkSessionLimits(at, pool, remarks);
  for (const [index, item] of pool.servers.entries()) {
    if (!isServer(item)) continue;
    const { name } = named(item);
    const isNameWritten = item.name !== null;
    const path: Path = [...at, 'servers', index, ...(isNameWritten ? ['name'] : [])];
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, path);
    else if (isNameWritten)
      remarks.clash(path, earlier, `server name "${name}" is already taken in line {line}`);
    else
      remarks.clash(
        path,
        earlier,
        `server "${name}" is already in the list, in line {line}; give one of them a "name"`,
      );
  }
}

/** Values of the former balancer's cookies lead to servers that there are; those that will be found are not known. */
function checkAdopted(at: Path, { sticky, servers }: WrittenPool, remarks: Remarks): void {
  if (!servers.every(isServer)) return;
  const known = servers.map((server) => named(server).name);
  for (const [index, { servers: values }] of (sticky.adopt ?? []).entries())
    for (const [value, name] of Object.entries(values)) {
      if (known.includes(name)) continue;
      const path = [...at, 'sticky', 'adopt', index, 'servers', value];
      remarks.error(path, `the pool has no server "${name}"${didYouMean(name, known)}`);
    }
}

function checkSessionLimits(at: Path, { sticky, servers }: WrittenPool, remarks: Remarks): void {
  if (sticky.mode !== 'none') return;
  for (const [index, { maxSessions }] of servers.entries()) {
    if (maxSessions === 0) continue;
    const path = [...at, 'servers', index, 'maxSessions'];
    remarks.warning(path, '"maxSessions" has no effect, the pool keeps no sessions (sticky none)', [
      [...at, 'sticky'],
    ]);
  }
}

/** At the pool that is one too many. */
function checkServerCount(written: Written, remarks: Remarks): void {
  let count = 0;
  for (const [name, pool] of Object.entries(written.pools)) {
    const before = count;
    count += pool.servers.filter(isServer).length;
    if (count <= SERVERS_MAX || before > SERVERS_MAX) continue;
    const message = `the pools up to this one have ${count} servers, there may be at most ${SERVERS_MAX} in all`;
    remarks.errorAtKey(['pools', name, 'servers'], message);
  }
}

function checkFailBack(at: Path, pool: WrittenPool, remarks: Remarks): void {
  if (pool.sticky.failBack === 'stay' || pool.state !== 'local') return;
  const message = `"failBack: ${pool.sticky.failBack}" would lose what a session has done since the failure, because "state" is local; use "state: shared" or "failBack: stay"`;
  remarks.error(at, message, [[...at.slice(0, -2), 'state']]);
}

function checkBound(at: Path, { sticky, state }: WrittenPool, remarks: Remarks): void {
  const { by, factor } = sticky.bound;
  if (by === 'sessions' || factor === 0) return;
  const path = [...at, 'by'];
  if (state === 'local')
    remarks.error(
      path,
      '"bound" by requests serves a request elsewhere when its home is busy, which does not know the session, because "state" is local; use "state: shared" or "by: sessions"',
      [[...at.slice(0, -2), 'state']],
    );
  else if (sticky.mode === 'none' || sticky.mode === 'cookie-pin')
    remarks.warning(path, `"bound" has no effect with mode ${sticky.mode}`, [[...at.slice(0, -1), 'mode']]);
}

function checkDiscovery(at: Path, pool: WrittenPool, remarks: Remarks): void {
  for (const [index, item] of pool.servers.entries()) {
    if (!('dns' in item)) continue;
    const { type, port } = item.dns;
    const path: Path = [...at, 'servers', index, 'dns'];
    if (type !== 'SRV' && port === null)
      remarks.error(path, `"dns" of type ${type} needs a "port"`, [[...path, 'port']]);
    if (type === 'SRV' && port !== null)
      remarks.warning([...path, 'port'], '"port" has no effect with SRV, which names the ports');
  }
}

function checkRebalance(at: Path, pool: WrittenPool, remarks: Remarks): void {
  const { mode, start, stop } = pool.rebalance;
  if (start <= stop) {
    remarks.error([...at, 'start'], `"start" ${start} must be above "stop" ${stop}`, [
      [...at, 'start'],
      [...at, 'stop'],
    ]);
  }
  if (mode !== 'off' && pool.state === 'local') {
    const message = `"mode: ${mode}" would lose the state of every session it moves, because "state" is local; use "state: shared" or "mode: off"`;
    remarks.error([...at, 'mode'], message, [[...at.slice(0, -1), 'state']]);
  }
}
