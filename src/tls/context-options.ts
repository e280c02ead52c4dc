// What OpenSSL is told: versions, ciphers, certificates.

import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { curvesOf, type GroupName } from '../base/tls-groups.ts';
import type { Certificate, TlsMaterial } from './certificate.ts';
import type { TlsConfig } from './options.ts';

/** Mozilla's profiles, version 5.7, without the DHE ciphers that no client of today needs. Those of TLS 1.3 are all good. */
const SUITES_1_3 = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const CIPHERS = {
  intermediate: `${SUITES_1_3}:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305`,
  modern: SUITES_1_3,
} as const;
const GROUPS: readonly GroupName[] = ['X25519MLKEM768', 'X25519', 'P-256', 'P-384'];
const OPTIONS = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION;
/** Else the order of groups would be the client's. With them comes that of ciphers, where phones still have what is fast for them. */
const OUR_ORDER = constants.SSL_OP_CIPHER_SERVER_PREFERENCE | constants.SSL_OP_PRIORITIZE_CHACHA;
/** How long a client may resume a session without a full handshake. */
export const TICKET_LIFE_SECONDS = 60 * 60;

/** For one set of certificates, of different kinds of keys. */
export function contextOptions(
  { minVersion, ciphers, groups }: TlsConfig,
  { ca, crl }: Pick<TlsMaterial, 'ca' | 'crl'>,
  certificates: readonly Certificate[],
): SecureContextOptions {
  return {
    cert: certificates.map(({ cert }) => cert),
    key: certificates.map(({ key }) => key),
    // an empty list keeps OpenSSL from loading the authorities of the world, which nobody asks here
    ca: ca ?? [],
    ...(crl === null ? {} : { crl }),
    minVersion: ciphers === 'modern' || minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    ciphers: CIPHERS[ciphers],
    ecdhCurve: curvesOf(groups ?? GROUPS),
    sessionTimeout: TICKET_LIFE_SECONDS,
    secureOptions: groups === null ? OPTIONS : OPTIONS | OUR_ORDER,
  };
}
