// What keys mean together: the checks a schema of single values cannot make.

import { formatDuration } from '../base/units.ts';
import { formatHostPort, isLoopback } from './address.ts';
import { checkName } from './check-text.ts';
import { listeners, servers } from './forms.ts';
import { type Remark, Remarks } from './remarks.ts';
import { POOLS_MAX, type Written, type WrittenPool } from './schema.ts';
import { stickyProblems } from './sticky-checks.ts';
import { didYouMean } from './suggest.ts';
import type { Path } from './tree.ts';

/** `poolNames` are all that were written, also those whose content is wrong. */
export function crossCheck(written: Written, poolNames: readonly string[]): readonly Remark[] {
  const remarks = new Remarks();
  checkListeners(written, remarks);
  checkAdmin(written, remarks);
  checkTrusted(written, remarks);
  checkRoutes(written, poolNames, remarks);
  checkUnreached(written, remarks);
  if (poolNames.length === 0) remarks.error(['pools'], '"pools" must name at least one pool');
  if (poolNames.length > POOLS_MAX)
    remarks.error(['pools'], `"pools" must have at most ${POOLS_MAX} entries`);
  for (const [name, pool] of Object.entries(written.pools)) checkPool(name, pool, remarks);
  return remarks.list;
}

function checkListeners(written: Written, remarks: Remarks): void {
  const first = new Map<string, number>();
  const list = listeners(written.listen);
  for (const [index, listener] of list.entries()) {
    const { host, port, address } = listener.address;
    const key = formatHostPort({ host, port });
    const earlier = first.get(key);
    if (port !== 0 && earlier !== undefined) {
      remarks.error(
        ['listen', index, 'address'],
        `address "${address}" is already taken by listener ${earlier + 1} of the list`,
      );
    }
    if (earlier === undefined) first.set(key, index);
  }
  if (written.admin === 'off') return;
  const { host, port, address } = written.admin.address;
  if (port !== 0 && first.has(formatHostPort({ host, port }))) {
    remarks.error(['admin', 'address'], `address "${address}" is already taken by a listener`, [['listen']]);
  }
}

function checkAdmin(written: Written, remarks: Remarks): void {
  if (written.admin === 'off' || written.admin.token !== '') return;
  const { host, address } = written.admin.address;
  if (isLoopback(host)) return;
  const message = `"admin.token" is required because "${address}" can be reached from other machines, set one or use a loopback address`;
  remarks.error(['admin', 'address'], message, [['admin', 'token']]);
}

function checkTrusted(written: Written, remarks: Remarks): void {
  for (const [index, { written: text, isLoose }] of written.trusted.entries()) {
    if (isLoose)
      remarks.warning(
        ['trusted', index],
        `"${text}" has address bits beyond its prefix length, they are ignored`,
      );
  }
}

function checkRoutes(written: Written, poolNames: readonly string[], remarks: Remarks): void {
  if (written.routes === undefined) {
    if (poolNames.length < 2) return;
    const message = `"routes" is required when there is more than one pool (${poolNames.slice(0, 5).join(', ')})`;
    remarks.errorAtKey(['pools'], message, [['routes']]);
    return;
  }
  const known = new Set(poolNames);
  const first = new Map<string, number>();
  for (const [index, route] of written.routes.entries()) {
    if (!known.has(route.pool)) {
      const nearest = didYouMean(route.pool, poolNames);
      const list =
        nearest === '' && poolNames.length > 0
          ? `, pools are: ${poolNames.slice(0, 20).join(', ')}`
          : nearest;
      remarks.error(['routes', index, 'pool'], `there is no pool "${route.pool}"${list}`);
    }
    const key = `${route.host?.toLowerCase() ?? ''} ${route.path?.replace(/\/$/, '') ?? ''}`;
    const earlier = first.get(key) ?? first.get(' ');
    if (earlier === undefined) first.set(key, index);
    else
      remarks.error(
        ['routes', index],
        `this route is never reached, route ${earlier + 1} of the list matches all of it first`,
      );
  }
}

function checkUnreached(written: Written, remarks: Remarks): void {
  if (written.routes === undefined) return;
  const reached = new Set(written.routes.map(({ pool }) => pool));
  for (const name of Object.keys(written.pools)) {
    if (!reached.has(name))
      remarks.warningAtKey(['pools', name], `no route leads to pool "${name}"`, [['routes']]);
  }
}

function checkPool(name: string, pool: WrittenPool, remarks: Remarks): void {
  const at: Path = ['pools', name];
  const refused = checkName(name);
  if (refused !== null) remarks.errorAtKey(at, `the name of a pool ${refused}`);
  checkServers(at, pool, remarks);
  stickyProblems([...at, 'sticky'], pool.sticky, remarks);
  checkRebalance([...at, 'rebalance'], pool, remarks);
  if (pool.health !== 'off' && pool.health.path === undefined) {
    remarks.list.push(...unusedStatus(at, pool.health.status));
  }
  if (pool.health !== 'off' && pool.health.timeout > pool.health.interval) {
    const { timeout, interval } = pool.health;
    const message = `"timeout" ${formatDuration(timeout)} is longer than "interval" ${formatDuration(interval)}, a hanging server is checked less often`;
    remarks.warning([...at, 'health', 'timeout'], message, [[...at, 'health', 'interval']]);
  }
}

function unusedStatus(at: Path, status: readonly (readonly number[])[]): readonly Remark[] {
  const isDefault = status.length === 1 && status[0]?.[0] === 200 && status[0][1] === 399;
  if (isDefault) return [];
  const path = [...at, 'health', 'status'];
  return [
    {
      severity: 'warning',
      path,
      at: 'value',
      message: '"status" has no effect without "path", the check is a TCP connect',
      involves: [[...at, 'health', 'path']],
    },
  ];
}

function checkServers(at: Path, pool: WrittenPool, remarks: Remarks): void {
  const first = new Map<string, number>();
  for (const [index, server] of servers(pool.servers).entries()) {
    const path = [...at, 'servers', index, ...(server.isNameWritten ? ['name'] : [])];
    const earlier = first.get(server.name);
    if (earlier === undefined) first.set(server.name, index);
    else if (server.isNameWritten)
      remarks.error(
        path,
        `server name "${server.name}" is already taken by server ${earlier + 1} of the list`,
      );
    else
      remarks.error(
        path,
        `server "${server.name}" is already in the list, as server ${earlier + 1}; give one of them a "name"`,
      );
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
