// Keys of the configuration that an embedded balancer cannot honour, because they are settings of the server that the
// application has itself. No key is ignored in silence: these are refused, and the message says where to set it instead.

import type { WrittenValue } from '../config/load.ts';
import type { HoldfastConfig, PoolConfig } from '../config/model.ts';
import type { Problem } from '../config/problem.ts';

/** Stands for the application's server in metrics and messages. */
const LISTENER_NAME = 'embedded';

const HAS_ONE_SERVER = 'the balancer is behind one server, your own: listen with it';

/** By path of the key: what to do instead. */
export const UNSUPPORTED_KEYS: Readonly<Record<string, string>> = {
  threads: 'requests are served in the thread of your server; for more, run several processes (node:cluster)',
  // the short form, a plain address
  listen: HAS_ONE_SERVER,
  'listen.address': HAS_ONE_SERVER,
  'listen.mode': HAS_ONE_SERVER,
  'listen.timeouts.header': 'set headersTimeout of your server',
  'listen.timeouts.keepAlive': 'set keepAliveTimeout of your server',
  'listen.proxyProtocol': 'read the header before your server does; the address is then that of the socket',
  'listen.tls': 'make your server with node:https',
  'listen.h2c': 'HTTP/2 is what your server speaks, or does not',
  'listen.http2': 'HTTP/2 is what your server speaks, or does not',
  'listen.redirectToHttps': 'redirect in your application',
  'listen.redirectPort': 'redirect in your application',
  'routes.clientAuth': 'ask for certificates in your server, and look at them in your application',
  'listen.halfClose': 'set httpAllowHalfOpen of your server',
  'listen.limits.connections': 'set maxConnections of your server',
  'listen.limits.requestsPerConnection': 'set maxRequestsPerSocket of your server',
};

/** One problem for each value that was written under such a key. So there is one listener, whose address is not given. */
export function refuseUnsupported(written: readonly WrittenValue[], file: string): readonly Problem[] {
  return written.flatMap(({ keys, place }) => {
    // all below a key is refused with it, but a listener as a whole is not: it has keys that count
    const path = [keys.join('.'), keys.slice(0, 2).join('.')].find((key) =>
      Object.hasOwn(UNSUPPORTED_KEYS, key),
    );
    const instead = path === undefined ? undefined : UNSUPPORTED_KEYS[path];
    if (instead === undefined) return [];
    return [{ file, ...place, message: `"${path}" has no effect when embedded, leave it out: ${instead}` }];
  });
}

/** What of a pool only the program does, as text; null: nothing. */
function onlyProgram({ host, protocol, sendProxyProtocol, servers, sticky }: PoolConfig): string | null {
  if (sticky.adopt?.some(({ separator }) => separator !== null) === true)
    return '"adopt" with a "separator", cookies are passed on as they are';
  if (sendProxyProtocol !== 'off') return `"sendProxyProtocol: ${sendProxyProtocol}"`;
  if (protocol !== 'h1') return `"protocol: ${protocol}", HTTP/2 to servers`;
  if (host !== 'keep') return '"host", the Host field is passed on as it is';
  for (const { url, socketPath, basePath, isTls } of servers) {
    if (isTls) return `"${url}", a server over TLS`;
    if (socketPath !== null) return `"${url}", a server on a unix socket`;
    if (basePath !== '') return `"${url}", a server URL with a path`;
  }
  return null;
}

/** One problem for each pool with something that an embedded balancer cannot do, at its first value. */
export function refusePools(
  { pools }: HoldfastConfig,
  written: readonly WrittenValue[],
  file: string,
): readonly Problem[] {
  return pools.flatMap((pool) => {
    const what = onlyProgram(pool);
    const { place } = written.find(({ keys }) => keys[0] === 'pools' && keys[1] === pool.name) ?? {};
    if (what === null || place === undefined) return [];
    const message = `pool "${pool.name}" has ${what}: an embedded balancer cannot do that, "holdfast run" can`;
    return [{ file, ...place, message }];
  });
}

/** The configuration of a balancer without listeners of its own, and with an admin server only where one was written. */
export function embeddedConfig(config: HoldfastConfig, written: readonly WrittenValue[]): HoldfastConfig {
  const hasAdmin = written.some(({ keys }) => keys[0] === 'admin');
  const listen = config.listen.slice(0, 1).map((listener) => ({ ...listener, address: LISTENER_NAME }));
  return { ...config, listen, admin: hasAdmin ? config.admin : null };
}
