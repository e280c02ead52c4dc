// A server that is one of our own listeners: every request to it comes back to us.

import { withoutRootDot } from '../base/server-lookup.ts';
import { isLoopback, type ServerAddress } from './address.ts';
import type { WrittenListen } from './leaf-address.ts';
import type { Remarks } from './remarks.ts';
import type { Written } from './schema.ts';
import { isServer } from './servers.ts';
import type { Path } from './tree.ts';

const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

export function checkLoops(written: Written, remarks: Remarks): void {
  for (const [name, pool] of Object.entries(written.pools)) {
    for (const [index, item] of pool.servers.entries()) {
      if (!isServer(item)) continue;
      const at = written.listen.findIndex(({ address }) => isSame(address, item.url));
      if (at < 0) continue;
      const listener: Path = ['listen', at];
      const message = `this server is the listener in line {line}: a request to it would go round until it is answered 508`;
      remarks.warningClash(['pools', name, 'servers', index], listener, message);
    }
  }
}

/** Port 0 is unknown until it is open. A listener on every address is also that of this machine. */
function isSame(listen: WrittenListen, server: ServerAddress): boolean {
  if (listen.socketPath !== null || server.socketPath !== null)
    return listen.socketPath === server.socketPath;
  if (listen.port === 0 || listen.port !== server.port) return false;
  const host = withoutRootDot(server.host);
  if (listen.host === host) return true;
  if (ANY_ADDRESS.has(listen.host)) return isLoopback(host) || ANY_ADDRESS.has(host);
  const isNamed = listen.host === 'localhost' || host === 'localhost';
  return isNamed && isLoopback(listen.host) && isLoopback(host);
}
