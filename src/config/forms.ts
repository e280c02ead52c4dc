// Short and long spellings brought to one form.

import { serverNameOf } from './address.ts';
import type { DiscoveryConfig, ServerAddress } from './model.ts';
import {
  configSchema,
  type Written,
  type WrittenListener,
  type WrittenPool,
  type WrittenSticky,
} from './schema.ts';

/** `listen` as a list of whole listeners, whichever way it was written. */
export function listeners(written: Written['listen']): readonly WrittenListener[] {
  const list = Array.isArray(written) ? written : [written];
  return list.map((item) => ('host' in item ? { ...listenerDefaults(), address: item } : item));
}

export interface NamedServer {
  /** Place in the list as written. */
  readonly index: number;
  readonly name: string;
  readonly isNameWritten: boolean;
  readonly address: ServerAddress;
  readonly weight: number;
  readonly maxConnections: number;
  readonly backup: boolean;
  readonly mode: 'ready' | 'drain' | 'maintenance';
}

/** Servers with their names, which are host:port where none was given. */
export function servers(written: WrittenPool['servers']): readonly NamedServer[] {
  return written.flatMap((item, index): readonly NamedServer[] => {
    if ('dns' in item || 'file' in item) return [];
    if ('host' in item) {
      return [
        {
          index,
          name: serverNameOf(item),
          isNameWritten: false,
          address: item,
          weight: 1,
          maxConnections: 0,
          backup: false,
          mode: 'ready',
        },
      ];
    }
    const { url, name, ...rest } = item;
    const isNameWritten = name !== undefined;
    return [{ ...rest, index, name: name ?? serverNameOf(url), isNameWritten, address: url }];
  });
}

/** The items of the list that stand for servers to be found. */
export function discoveries(written: WrittenPool['servers']): readonly DiscoveryConfig[] {
  return written.flatMap((item): readonly DiscoveryConfig[] => {
    if ('dns' in item) {
      const { name, port = null, type, refresh } = item.dns;
      const source = `dns ${type} ${name}`;
      const { maxConnections } = item;
      return [
        {
          kind: 'dns',
          source,
          name,
          port: type === 'SRV' ? null : port,
          type,
          refreshMs: refresh,
          maxConnections,
        },
      ];
    }
    if (!('file' in item)) return [];
    const { path, refresh } = item.file;
    return [
      { kind: 'file', source: `file ${path}`, path, refreshMs: refresh, maxConnections: item.maxConnections },
    ];
  });
}

/** `sticky: none` is the mapping with nothing in it. */
export function stickyForm(written: WrittenPool['sticky']): WrittenSticky {
  return written === 'none' ? stickyDefaults() : written;
}

function listenerDefaults(): WrittenListener {
  const [first] = listeners(smallest().listen);
  if (first === undefined) throw new Error('the schema has no default listener');
  return first;
}

function stickyDefaults(): WrittenSticky {
  const sticky = Object.values(smallest().pools)[0]?.sticky;
  if (sticky === undefined || sticky === 'none') throw new Error('the schema has no default for sticky');
  return sticky;
}

/** All defaults, from the schema itself. */
function smallest(): Written {
  return configSchema.parse({ pools: { x: { servers: ['http://127.0.0.1:1'] } } });
}
