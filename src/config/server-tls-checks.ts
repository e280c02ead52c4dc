// What the keys of `tls` in a pool mean together.

import { checkGroups } from './group-checks.ts';
import type { Remarks } from './remarks.ts';
import type { WrittenPool } from './schema.ts';
import { isServer } from './servers.ts';
import type { Path } from './tree.ts';

/** The port of HTTP in the clear. */
const CLEAR_PORT = 80;

export function checkServerTls(at: Path, { tls, servers, health }: WrittenPool, remarks: Remarks): void {
  const { verify, ca, serverName, groups, cert, key, passphrase } = tls;
  // what a file lists is known only when it is read
  const mayBeTls = servers.some((item) => (isServer(item) ? item.url.isTls : 'file' in item));
  const isWritten = verify === 'off' || [ca, serverName, groups, cert].some((value) => value !== null);
  if (isWritten && !mayBeTls)
    remarks.warningAtKey([...at, 'tls'], '"tls" has no effect, no server of the pool has an https:// URL', [
      [...at, 'servers'],
    ]);
  checkGroups([...at, 'tls', 'groups'], groups ?? [], remarks);
  if (mayBeTls && verify === 'off')
    remarks.warning(
      [...at, 'tls', 'verify'],
      '"verify: off": whoever is on the way can be the server, and read and change everything; name its authority with "ca" instead',
    );
  if (verify === 'off' && ca !== null)
    remarks.error([...at, 'tls', 'ca'], '"ca" has no effect with "verify: off"', [[...at, 'tls', 'verify']]);
  if ((cert === null) !== (key === null)) {
    const [has, lacks] = cert === null ? ['key', 'cert'] : ['cert', 'key'];
    remarks.error([...at, 'tls', has], `"${has}" needs a "${lacks}" too`, [[...at, 'tls', lacks]]);
  }
  if (passphrase !== null && key === null)
    remarks.error([...at, 'tls', 'passphrase'], '"passphrase" opens a "key", and there is none', [
      [...at, 'tls', 'key'],
    ]);
  const isTls = servers.some((item) => isServer(item) && item.url.isTls);
  if (isTls && health?.port === CLEAR_PORT)
    remarks.error(
      [...at, 'health', 'port'],
      '"port" 80 is that of HTTP in the clear, and https:// servers are checked over TLS; name a port that speaks it, or none',
      [[...at, 'servers']],
    );
}
