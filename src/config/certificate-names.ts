// Which names automatic certificates are for: those that are listed, or else the hosts of routes.

import { isIP } from 'node:net';
import type { TlsConfig } from '../tls/options.ts';
import type { WrittenListener, WrittenRoute } from './schema.ts';

type Routes = readonly WrittenRoute[] | null;

/** As the other rooms see it. */
export function tlsConfig({ tls }: WrittenListener, routes: Routes): TlsConfig | null {
  if (tls === null) return null;
  if (tls.acme === null) return { ...tls, acme: null };
  return { ...tls, acme: { ...tls.acme, names: tls.acme.names ?? routeNames(routes) } };
}

function routeNames(routes: Routes): readonly string[] {
  const hosts = (routes ?? []).flatMap(({ host }) => host?.toLowerCase() ?? []);
  return [...new Set(hosts.filter((host) => certifiable(host) === null))];
}

/** Why an authority gives no certificate for the host by itself; null: it may. Lower case. */
export function certifiable(host: string): string | null {
  if (host.startsWith('*.'))
    return 'an authority gives certificates with wildcards only for entries in DNS, which are not made here';
  const isAddress = host.startsWith('[') || isIP(host) !== 0;
  return isAddress ? 'certificates are had for names here, not for addresses' : null;
}
