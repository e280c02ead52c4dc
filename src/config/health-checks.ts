// What the keys of `health` mean together.

import { formatDuration } from '../base/units.ts';
import { checkHeaderName } from './check-text.ts';
import type { Remarks } from './remarks.ts';
import type { WrittenPool } from './schema.ts';
import { isServer } from './servers.ts';
import type { Path } from './tree.ts';

type Health = NonNullable<WrittenPool['health']>;

export function checkHealth(at: Path, pool: WrittenPool, remarks: Remarks): void {
  const { health, servers } = pool;
  if (health === null) return;
  if (health.port !== null && servers.some((item) => isServer(item) && item.url.socketPath !== null))
    remarks.warning([...at, 'port'], '"port" has no effect for servers on a unix socket', [
      [...at.slice(0, -1), 'servers'],
    ]);
  for (const name of Object.keys(health.headers)) {
    const refused = checkHeaderName(name);
    if (refused !== null) remarks.errorAtKey([...at, 'headers', name], `the name of a header ${refused}`);
  }
  if (health.grpc !== null) checkGrpc(at, pool, health, remarks);
  else if (health.path === null) checkUnused(at, health, remarks);
  if (health.method === 'HEAD' && health.body !== null)
    remarks.error([...at, 'body'], '"body" cannot be found in the reply to HEAD, which has none', [
      [...at, 'method'],
    ]);
  const { timeoutMs, intervalMs } = health;
  if (timeoutMs <= intervalMs) return;
  const message = `"timeout" ${formatDuration(timeoutMs)} is longer than "interval" ${formatDuration(intervalMs)}, a hanging server is checked less often`;
  remarks.warning([...at, 'timeout'], message, [[...at, 'interval']]);
}

/** The health protocol of gRPC says all of a request but its service. */
function checkGrpc(at: Path, pool: WrittenPool, health: Health, remarks: Remarks): void {
  if (pool.protocol === 'h1')
    remarks.error([...at, 'grpc'], '"grpc" needs HTTP/2 to the servers, "protocol" is h1', [
      [...at.slice(0, -1), 'protocol'],
    ]);
  else if (pool.protocol === 'auto' && pool.servers.some((item) => isServer(item) && !item.url.isTls))
    remarks.warning(
      [...at, 'grpc'],
      '"grpc" asks servers in the clear in HTTP/2, their requests go over HTTP/1.1 with "protocol" auto',
      [[...at.slice(0, -1), 'protocol']],
    );
  const { path, body, method } = health;
  const isWritten = { path: path !== null, body: body !== null, method: method !== 'GET' };
  for (const [key, is] of Object.entries({ ...isWritten, status: isStatusWritten(health) }))
    if (is)
      remarks.error(
        [...at, key],
        `"${key}" has no place beside "grpc", which asks and is answered its own way`,
        [[...at, 'grpc']],
      );
}

function isStatusWritten({ status }: Health): boolean {
  return status.length !== 1 || status[0]?.[0] !== 200 || status[0][1] !== 399;
}

/** A TCP connect asks nothing. */
function checkUnused(at: Path, health: Health, remarks: Remarks): void {
  const { host, headers, method, body } = health;
  const isWritten = {
    status: isStatusWritten(health),
    host: host !== null,
    headers: Object.keys(headers).length > 0,
    method: method !== 'GET',
    body: body !== null,
  };
  for (const [key, is] of Object.entries(isWritten))
    if (is)
      remarks.warning([...at, key], `"${key}" has no effect without "path", the check is a TCP connect`, [
        [...at, 'path'],
      ]);
}
