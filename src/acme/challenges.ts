// The answers that are ready for authorities: over plain HTTP by token (RFC 8555 section 8.3), in the handshake by name (RFC 8737).

import { createHash } from 'node:crypto';
import type { Certificate } from '../tls/certificate.ts';
import { challengeCertificate } from '../tls/self-signed.ts';
import type { Challenge } from './storage.ts';

interface Known {
  readonly challenge: Challenge;
  /** null: it is not answered in the handshake. */
  readonly proof: Certificate | null;
}

export class Challenges {
  readonly #known = new Map<string, Known>();
  /** Something has been taken away since they were spread last. */
  hasLeft = false;

  /** `key`: of the order that it is for, which has one at a time. */
  know(key: string, challenge: Challenge, wallMs: number): void {
    const digest = createHash('sha256').update(challenge.keyAuthorization).digest();
    const isProof = challenge.type === 'tls-alpn-01';
    const proof = isProof ? challengeCertificate(challenge.name, digest, wallMs) : null;
    this.#known.set(key, { challenge, proof });
  }

  forget(key: string): void {
    if (this.#known.delete(key)) this.hasLeft = true;
  }

  forgetAllBut(keys: ReadonlySet<string>): void {
    for (const key of [...this.#known.keys()]) if (!keys.has(key)) this.forget(key);
  }

  /** What a request for a token is answered with. */
  get tokens(): Readonly<Record<string, string>> {
    const found = [...this.#known.values()].filter(({ proof }) => proof === null);
    return Object.fromEntries(found.map(({ challenge }) => [challenge.token, challenge.keyAuthorization]));
  }

  /** Certificates for handshakes by the protocol `acme-tls/1`. */
  get proofs(): readonly Certificate[] {
    return [...this.#known.values()].flatMap(({ proof }) => (proof === null ? [] : [proof]));
  }
}
