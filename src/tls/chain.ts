// Whether certificates, as they stand in files, lead a client from the first to an authority.
//
//   leaf, intermediate, root, the same intermediate of another authority, ...     each has issued one that stands before it
//
// What is there besides is passed over by clients (RFC 8446 section 4.4.2) as long as the rest is enough for them.

import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';

/** Those that have issued one before them, the leaf first, each once. */
export function linked(all: readonly X509Certificate[]): readonly X509Certificate[] {
  const found: X509Certificate[] = [];
  for (const certificate of distinct(all))
    if (found.length === 0 || found.some((issued) => hasIssued(certificate, issued))) found.push(certificate);
  return found;
}

/** Each once, where it stands first. */
export function distinct(all: readonly X509Certificate[]): readonly X509Certificate[] {
  const found = new Map<string, X509Certificate>();
  for (const one of all) {
    const { fingerprint512 } = one;
    if (!found.has(fingerprint512)) found.set(fingerprint512, one);
  }
  return [...found.values()];
}

/** They lead from the first to one that clients need not be shown. An authority of one's own that is left out is not known here. */
export function isWhole(chain: readonly X509Certificate[]): boolean {
  return chain.some(isEnd);
}

/** It is signed by itself, or by an authority that clients know. */
export function isEnd({ issuer, subject }: X509Certificate): boolean {
  return issuer === subject || isWellKnown(issuer);
}

function hasIssued(issuer: X509Certificate, issued: X509Certificate): boolean {
  return issued.checkIssued(issuer) && issued.verify(issuer.publicKey);
}

let roots: ReadonlySet<string> | null = null;

/** Read once, when it is asked for the first time: some 150 certificates. */
function isWellKnown(issuer: string): boolean {
  roots ??= new Set(rootCertificates.map((text) => new X509Certificate(text).subject));
  return roots.has(issuer);
}
