// Which certificate a client gets: by the name that it asks for (SNI, RFC 6066 section 3), exact before wildcard, else the
// first. Certificates of one name with different kinds of keys are offered together, and OpenSSL takes what the client knows.

import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Certificate, TlsMaterial } from './certificate.ts';
import { contextOptions } from './context-options.ts';
import type { TlsConfig } from './options.ts';

/** Material and the keys of its tickets, as main hands it to the threads. Structured-cloneable. */
export interface ListenerSecrets extends TlsMaterial {
  /** 48 bytes: who has them can resume a session that another thread or process has begun. */
  readonly ticketKeys: Uint8Array;
  /** Sessions of another listener, or under other authorities, are not resumed. At most 32 characters. */
  readonly sessionContext: string;
  /** What authorities that ask in the handshake are shown (RFC 8737). */
  readonly proofs: readonly Certificate[];
}

export class TlsContexts {
  readonly secrets: ListenerSecrets;
  readonly default: SecureContext;
  readonly #byName = new Map<string, SecureContext>();
  readonly #proofs = new Map<string, SecureContext>();
  /** What all contexts have in common, and the contexts by their certificates. */
  readonly #common: SecureContextOptions;
  readonly #made = new Map<string, SecureContext>();

  /** `former`: those until now; what nothing has changed of is taken from there. To make one takes half a millisecond. */
  constructor(config: TlsConfig, secrets: ListenerSecrets, former: TlsContexts | null) {
    this.secrets = secrets;
    const options = (certificates: readonly Certificate[]): SecureContextOptions => ({
      ...contextOptions(config, secrets, certificates),
      ticketKeys: Buffer.from(secrets.ticketKeys),
      sessionIdContext: secrets.sessionContext,
    });
    this.#common = options([]);
    const isLike = former !== null && isDeepStrictEqual(this.#common, former.#common);
    const kept = isLike ? former.#made : null;
    const byName = new Map<string, Certificate[]>();
    for (const certificate of secrets.certificates)
      for (const name of certificate.names) byName.set(name, [...(byName.get(name) ?? []), certificate]);
    const make = (certificates: readonly Certificate[]): SecureContext => {
      const key = certificates.map(({ cert }) => cert).join('');
      const context = this.#made.get(key) ?? kept?.get(key) ?? createSecureContext(options(certificates));
      this.#made.set(key, context);
      return context;
    };
    for (const [name, certificates] of byName) this.#byName.set(name, make(certificates));
    for (const { label, cert, key } of secrets.proofs)
      this.#proofs.set(label, createSecureContext({ cert, key }));
    const [first] = secrets.certificates;
    if (first === undefined) throw new Error('a listener with TLS has no certificate');
    this.default = make(byName.get(first.names[0] ?? '') ?? [first]);
  }

  /** Authorities may come and ask. */
  get hasProofs(): boolean {
    return this.#proofs.size > 0;
  }

  /** What an authority that asks for the name is shown; null: it is not expected. */
  proof(name: string): SecureContext | null {
    return this.#proofs.get(name.toLowerCase()) ?? null;
  }

  /** Null: none is for that name. */
  find(name: string): SecureContext | null {
    const lower = name.toLowerCase();
    const exact = this.#byName.get(lower);
    if (exact !== undefined) return exact;
    const dot = lower.indexOf('.');
    return dot < 0 ? null : (this.#byName.get(`*${lower.slice(dot)}`) ?? null);
  }
}
