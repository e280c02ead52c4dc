// The list of servers told apart: those that are named, and those that stand for servers to be found.

import { serverNameOf } from './address.ts';
import type { DiscoveryConfig, ServerConfig } from './model.ts';
import type { WrittenPool, WrittenServer } from './schema.ts';

export type ServerItem = WrittenPool['servers'][number];

/** Servers with their names, which are host:port where none was given. */
export function servers(written: readonly ServerItem[]): readonly ServerConfig[] {
  return written.flatMap((item) => (isServer(item) ? [named(item)] : []));
}

export function isServer(item: ServerItem): item is WrittenServer {
  return 'url' in item;
}

export function named({ url, name, ...rest }: WrittenServer): ServerConfig {
  return { ...rest, ...url, name: name ?? serverNameOf(url) };
}

/** The items of the list that stand for servers to be found. */
export function discoveries(written: readonly ServerItem[]): readonly DiscoveryConfig[] {
  return written.flatMap((item): readonly DiscoveryConfig[] => {
    if (isServer(item)) return [];
    const { maxConnections, maxSessions } = item;
    const limits = { maxConnections, maxSessions };
    if ('file' in item) return [{ kind: 'file', source: `file ${item.file.path}`, ...item.file, ...limits }];
    const { name, type, port } = item.dns;
    // SRV names the port
    const asked = { ...item.dns, port: type === 'SRV' ? null : port };
    return [{ kind: 'dns', source: `dns ${type} ${name}`, ...asked, ...limits }];
  });
}
