// The files that `tls` of a pool names.

import { messageOf } from '../base/message-of.ts';
import { contextOf, type TlsSettings } from '../base/tls-client.ts';
import { type Faults, readAuthorities, readPair } from '../tls/certificate.ts';
import type { Files } from '../tls/files.ts';
import type { PoolConfig } from './model.ts';

/** What `tls` of the pool comes to. */
export function readServerTls({ tls, secure }: PoolConfig, files: Files, faults: Faults): TlsSettings {
  const { ca, cert, key, passphrase } = tls;
  const authorities = ca === null ? null : readAuthorities(files, ca, faults.below('ca'));
  const named = cert === null || key === null ? null : { cert, key, chain: null, passphrase };
  const pair = named === null ? null : readPair(files, named, faults);
  const settings = { ...secure, ca: authorities, cert: pair?.cert ?? null, key: pair?.key ?? null };
  if (faults.hasErrors) return settings;
  try {
    contextOf(settings);
  } catch (error) {
    // what the checks before have not seen, and OpenSSL has
    const [what, path] = named === null ? ['ca', ca] : ['cert', cert];
    faults.below(what as string).error(`"${path}" cannot be used: ${messageOf(error)}`);
  }
  return settings;
}
