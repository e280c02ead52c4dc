// How a listener speaks TLS, as the checked configuration says it (config/schema-tls.ts has what each means).

import type { GroupName } from '../base/tls-groups.ts';

/** One certificate with its key; paths are relative to the working directory. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  /** Intermediate certificates, where they are not in `cert`; null: they are. */
  readonly chain: string | null;
  /** Of the key; null: it is not encrypted. */
  readonly passphrase: string | null;
}

/** All pairs in it. */
interface CertificateFolder {
  readonly folder: string;
}

/** How certificates are had from an authority (RFC 8555). */
export interface AcmeConfig {
  readonly email: string;
  /** Lower case; never empty. */
  readonly names: readonly string[];
  readonly directory: string;
  readonly challenge: 'http-01' | 'tls-alpn-01';
  /** Folder, relative to the working directory. */
  readonly storage: string;
  /** PEM file: authorities of the directory's own certificate; null: those that Node comes with. */
  readonly ca: string | null;
}

/** Protocols that a client may choose by ALPN (RFC 7301). */
export const ALPN_PROTOCOLS = ['h2', 'http/1.1'] as const;
export type AlpnProtocol = (typeof ALPN_PROTOCOLS)[number];

export interface TlsConfig {
  /** Of these three at least one is there; `selfSigned` stands alone. */
  readonly certificates: readonly (CertificateFiles | CertificateFolder)[] | null;
  readonly selfSigned: boolean;
  readonly acme: AcmeConfig | null;
  /** null: as the ciphers have it. */
  readonly minVersion: '1.2' | '1.3' | null;
  readonly ciphers: 'intermediate' | 'modern';
  /** Of the key exchange, the preferred first; null: as context-options.ts has it. */
  readonly groups: readonly GroupName[] | null;
  readonly alpn: readonly AlpnProtocol[];
  readonly clientAuth: 'none' | 'request' | 'require';
  /** null when there is no client authentication. */
  readonly ca: string | null;
  readonly crl: string | null;
  readonly handshakeTimeoutMs: number;
  readonly handshakesMax: number;
  /** A second; null: no limit. */
  readonly handshakeRate: number | null;
  readonly hsts: HstsConfig | null;
}

export interface HstsConfig {
  readonly maxAgeMs: number;
  readonly includeSubDomains: boolean;
  readonly preload: boolean;
}

/** The value of Strict-Transport-Security (RFC 6797); null: none is sent. */
export function hstsValue(hsts: HstsConfig | null): string | null {
  if (hsts === null) return null;
  const { maxAgeMs, includeSubDomains, preload } = hsts;
  return `max-age=${Math.floor(maxAgeMs / 1000)}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
}
